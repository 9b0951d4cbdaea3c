from lmms_manu._version import __version__ as __version__
from lmms_manu.benchmarks.example import Example as Example
from lmms_manu.methods.data import UnlearningData as UnlearningData
from lmms_manu.methods.manu.method import Manu as Manu
from lmms_manu.methods.prompting.method import Prompting as Prompting
from lmms_manu.methods.record import EditRecord as EditRecord
from lmms_manu.methods.unedited import Unedited as Unedited
from lmms_manu.models.loading import Checkpoint as Checkpoint
from lmms_manu.models.wrapping import wrap as wrap
from lmms_manu.public import answer as answer
from lmms_manu.public import load as load
from lmms_manu.public import people as people
from lmms_manu.public import save as save
from lmms_manu.public import unlearn as unlearn

__all__ = [
    "Checkpoint",
    "EditRecord",
    "Example",
    "Manu",
    "Prompting",
    "Unedited",
    "UnlearningData",
    "__version__",
    "answer",
    "load",
    "people",
    "save",
    "unlearn",
    "wrap",
]
