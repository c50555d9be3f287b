"""Caliper 1.1: events of learning systems. https://www.imsglobal.org/sites/default/files/caliper/v1p1/"""
