"""How the hand-written texts become the files of the evaluation set. The same texts give the same files, byte for byte."""
