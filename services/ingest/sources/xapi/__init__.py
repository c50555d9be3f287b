"""xAPI 1.0.3 and 2.0: statements of learning systems. https://github.com/adlnet/xAPI-Spec/blob/master/xAPI-Data.md"""
