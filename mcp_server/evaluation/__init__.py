"""How good the answers are: the tools, run over labelled incidents, questions with known answers, and texts that attack.

What is asked: `examples.py`. Asking it: `running.py`, `classifying.py`, `retrieving.py`. What the answers are worth: `metrics.py`. What an operator
sees: `report.py`, `plot.py`. Fitting the combination of the opinions: `fitting.py`.
"""
