"""In which country a region lies: countries by their codes, and the regions of clouds by how their names begin.

Choices: the longest beginning wins. Clouds give cities to names of their own (`eu-west-2` is London, `eu-west1` of Nebius Paris), so the
table is written down, from the clouds' own lists of regions. Limits: a region that is not in it, and whose name does not begin with a
country's code, lies nowhere.
"""

from __future__ import annotations

ISO3 = {
    "US": "USA", "DE": "DEU", "FR": "FRA", "SE": "SWE", "NO": "NOR", "FI": "FIN", "IE": "IRL", "NL": "NLD", "GB": "GBR", "UK": "GBR",
    "JP": "JPN", "SG": "SGP", "IN": "IND", "CN": "CHN", "CA": "CAN", "AU": "AUS", "BR": "BRA", "ES": "ESP", "IT": "ITA", "PL": "POL",
    "AE": "ARE", "AT": "AUT", "BE": "BEL", "BH": "BHR", "CH": "CHE", "CL": "CHL", "DK": "DNK", "GR": "GRC", "HK": "HKG", "ID": "IDN",
    "IL": "ISR", "IS": "ISL", "KR": "KOR", "MX": "MEX", "MY": "MYS", "NZ": "NZL", "PT": "PRT", "QA": "QAT", "SA": "SAU", "TW": "TWN",
    "ZA": "ZAF", "CZ": "CZE", "EE": "EST", "HU": "HUN", "LT": "LTU", "LU": "LUX", "LV": "LVA", "RO": "ROU", "BG": "BGR", "HR": "HRV",
    "SI": "SVN", "SK": "SVK", "CY": "CYP", "MT": "MLT",
}  # fmt: skip
"""Two letters -> three (ISO 3166-1)."""

EU = {
    "AUT", "BEL", "BGR", "CYP", "CZE", "DEU", "DNK", "ESP", "EST", "FIN", "FRA", "GRC", "HRV", "HUN", "IRL", "ITA", "LTU", "LUX", "LVA",
    "MLT", "NLD", "POL", "PRT", "ROU", "SVK", "SVN", "SWE",
}  # fmt: skip

_BEGINNINGS = {
    # AWS
    "us-": "USA", "ca-": "CAN", "mx-": "MEX", "sa-east-1": "BRA", "eu-central-1": "DEU", "eu-central-2": "CHE", "eu-north-1": "SWE",
    "eu-west-1": "IRL", "eu-west-2": "GBR", "eu-west-3": "FRA", "eu-south-1": "ITA", "eu-south-2": "ESP", "ap-northeast-1": "JPN",
    "ap-northeast-2": "KOR", "ap-northeast-3": "JPN", "ap-east-1": "HKG", "ap-south-1": "IND", "ap-south-2": "IND",
    "ap-southeast-1": "SGP", "ap-southeast-2": "AUS", "ap-southeast-3": "IDN", "ap-southeast-4": "AUS", "ap-southeast-5": "MYS",
    "me-central-1": "ARE", "me-south-1": "BHR", "il-central-1": "ISR", "af-south-1": "ZAF", "cn-": "CHN",
    # Google
    "northamerica-northeast": "CAN", "northamerica-south": "MEX", "southamerica-east": "BRA", "southamerica-west": "CHL",
    "europe-central2": "POL", "europe-north1": "FIN", "europe-north2": "SWE", "europe-southwest1": "ESP", "europe-west1": "BEL",
    "europe-west2": "GBR", "europe-west3": "DEU", "europe-west4": "NLD", "europe-west6": "CHE", "europe-west8": "ITA",
    "europe-west9": "FRA", "europe-west10": "DEU", "europe-west12": "ITA", "asia-east1": "TWN", "asia-east2": "HKG",
    "asia-northeast1": "JPN", "asia-northeast2": "JPN", "asia-northeast3": "KOR", "asia-south": "IND", "asia-southeast1": "SGP",
    "asia-southeast2": "IDN", "australia-": "AUS", "me-west1": "ISR", "me-central1": "QAT", "me-central2": "SAU", "africa-south1": "ZAF",
    # Azure
    "eastus": "USA", "westus": "USA", "centralus": "USA", "northcentralus": "USA", "southcentralus": "USA", "westcentralus": "USA",
    "canada": "CAN", "brazil": "BRA", "mexico": "MEX", "northeurope": "IRL", "westeurope": "NLD", "uksouth": "GBR", "ukwest": "GBR",
    "france": "FRA", "germany": "DEU", "switzerland": "CHE", "sweden": "SWE", "norway": "NOR", "finland": "FIN", "denmark": "DNK",
    "belgium": "BEL", "austria": "AUT", "italy": "ITA", "spain": "ESP", "poland": "POL", "israel": "ISR", "uae": "ARE", "qatar": "QAT",
    "southafrica": "ZAF", "eastasia": "HKG", "southeastasia": "SGP", "japan": "JPN", "korea": "KOR", "centralindia": "IND",
    "southindia": "IND", "westindia": "IND", "jioindia": "IND", "australia": "AUS", "newzealand": "NZL", "indonesia": "IDN",
    "malaysia": "MYS",
    # Nebius, Verda, Oracle
    "eu-north1": "FIN", "eu-west1": "FRA", "uk-south1": "GBR", "me-west": "ISR", "fin-": "FIN", "isl-": "ISL", "eu-frankfurt": "DEU",
    "eu-amsterdam": "NLD", "eu-paris": "FRA", "eu-marseille": "FRA", "eu-milan": "ITA", "eu-madrid": "ESP", "eu-stockholm": "SWE",
    "eu-zurich": "CHE", "uk-": "GBR", "ap-tokyo": "JPN", "ap-osaka": "JPN", "ap-seoul": "KOR", "ap-singapore": "SGP",
    "ap-sydney": "AUS", "ap-melbourne": "AUS", "ap-mumbai": "IND", "ap-hyderabad": "IND", "sa-saopaulo": "BRA",
}  # fmt: skip


def squeezed(region: str) -> str:
    """A region's name without case and spaces: Azure's `East US` is its `eastus`."""
    return region.lower().replace(" ", "")


def country_of(region: str) -> str:
    """Three letters of the country: by a code that stands alone or before a dash (`DE`, `US-CA`), else as a cloud's region; '' unknown."""
    name = squeezed(region)
    fits = [start for start in _BEGINNINGS if name.startswith(start)]
    if fits:
        return _BEGINNINGS[max(fits, key=len)]
    code = name.partition("-")[0].upper()
    return ISO3.get(code) or (code if code in ISO3.values() else "")
