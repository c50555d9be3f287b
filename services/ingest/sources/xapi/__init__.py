"""xAPI 1.0.3: statements of learning systems. https://github.com/adlnet/xAPI-Spec/blob/master/xAPI-Data.md"""
