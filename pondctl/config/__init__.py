"""Settings: flag > environment > profile in TOML > default; secrets by reference."""

from pondctl.config.load import load as load
from pondctl.config.policy import POLICY_FILE as POLICY_FILE
from pondctl.config.secrets import DatabaseUrl as DatabaseUrl
from pondctl.config.secrets import Secret as Secret
from pondctl.config.settings import Settings as Settings
from pondctl.config.settings import leaves as leaves
from pondctl.config.sources import config_path as config_path
from pondctl.config.urls import database_place as database_place
from pondctl.config.write import write_config as write_config
