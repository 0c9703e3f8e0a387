"""The public data sets that `maitred publish --dataset` knows, by name."""

from streams.dataset import Dataset
from streams.dataset_cdnow import CDNOW
from streams.dataset_online_retail_ii import ONLINE_RETAIL_II
from streams.dataset_rees46 import REES46

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (ONLINE_RETAIL_II, CDNOW, REES46)}
