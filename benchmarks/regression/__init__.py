"""Has it become worse than a git revision, beyond the noise of this machine?"""
