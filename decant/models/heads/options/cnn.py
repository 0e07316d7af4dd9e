"""Parameters of BertCNN."""

from decant.models.part_options import ConvolutionConfig
from decant.runtime.settings import settings


@settings
class Config(ConvolutionConfig):
    pass
