"""The run-time type checker of the tests: beartype, with an int wherever a float is asked for, as PEP 484 has it."""

from beartype import BeartypeConf, beartype

typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
