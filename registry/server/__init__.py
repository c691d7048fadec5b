"""What runs inside the MLflow server: the rules, the ledger and the walls behind MLflow's own interface.

Clients never import it; they talk to it as users do, over HTTP.
"""
