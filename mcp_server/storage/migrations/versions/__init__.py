"""One file for each step of the schema, named after its revision. A step only adds: the release before runs on it too."""
