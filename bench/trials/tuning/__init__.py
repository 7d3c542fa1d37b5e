"""Choose options of a configuration by tuning trials, which see the validation split and never the test split."""
