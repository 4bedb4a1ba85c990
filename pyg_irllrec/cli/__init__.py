r"""What command lines share: options, errors in one line, trained runs read again."""
