"""The page of `landmark-kd demo`: a network in the browser, served on this computer alone."""
