"""The whole DAG on this machine, with KFP's local runner."""
