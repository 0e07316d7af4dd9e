"""How and where each step runs on a cluster: the shipped profiles and what reads them."""
