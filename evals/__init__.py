"""The evaluation set: written by hand in authoring/texts, made into files by `python -m evals.make`, and read by `flask eval`."""
