"""Do our presets make the pixels that the libraries themselves make?"""
