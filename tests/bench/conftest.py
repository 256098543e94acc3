"""What is measured on the city of 100,000 areas shares one."""

import pytest

from tests.bench import grid_city
from tests.db_fixtures import MakeDatabase


@pytest.fixture(scope="session")
def city_url(make_database: MakeDatabase) -> str:
    """The URL of a database with the city, published as revision 1; nobody changes it."""
    url = make_database()
    grid_city.build(url)
    return url
