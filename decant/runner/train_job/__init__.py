"""A step on several nodes: its KFP task starts a TrainJob of Kubeflow Trainer and watches it."""
