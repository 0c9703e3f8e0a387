"""The public data sets that `maitred publish --dataset` and `maitred replay --dataset` know, by name."""

from streams.datasets.cdnow import CDNOW
from streams.datasets.dataset import Dataset
from streams.datasets.online_retail_ii import ONLINE_RETAIL_II
from streams.datasets.rees46 import REES46

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (ONLINE_RETAIL_II, CDNOW, REES46)}
