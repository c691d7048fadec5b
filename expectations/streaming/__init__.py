"""Say of a stream of batches what `check` says of the whole table. Knows no files, jobs or models.

`Inspector` is the door. What one batch shows is a `Tally`, and tallies add up in any order.
"""

from expectations.streaming.inspector import Inspection, Inspector
from expectations.streaming.tally import Tally

__all__ = ["Inspection", "Inspector", "Tally"]
