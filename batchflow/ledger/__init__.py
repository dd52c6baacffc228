"""The ledger: what was prepared, sent, answered, judged and scored. SQLAlchemy lives here and nowhere else."""

from batchflow.ledger.core import Ledger, Tx

__all__ = ["Ledger", "Tx"]
