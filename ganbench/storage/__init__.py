"""Results on disk: the files of a stack, their locks and schemas."""
