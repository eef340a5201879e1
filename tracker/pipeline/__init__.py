"""The journey of what was sent: it becomes rows, and the rows become durable; `pipeline.py` tells it.

HTTP, limits on bodies and answers are the web's business, delivery to stores is batching's.
"""

from tracker.pipeline.pipeline import Pipeline, Spooler
from tracker.pipeline.prepared import Prepared
from tracker.pipeline.protecting import Forgotten, Protection
from tracker.pipeline.settings import PipelineSettings

__all__ = ["Forgotten", "Pipeline", "PipelineSettings", "Prepared", "Protection", "Spooler"]
