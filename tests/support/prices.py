"""Price data as the catalogue is fetched."""

from typing import Any

PRICE_DATA: list[dict[str, Any]] = [
    {
        "id": "acme",
        "name": "Acme",
        "api_pattern": "https://acme",
        "provider_match": {"contains": "acme"},
        "model_match": {"starts_with": "acme-"},
        "models": [
            {
                "id": "acme-1",
                "match": {"equals": "acme-1"},
                "prices": [
                    {"prices": {"input_mtok": 0.1, "output_mtok": {"base": 2, "tiers": [{"start": 10, "price": 4}]}}},
                    {
                        "constraint": {"start_date": "2026-01-01"},
                        "prices": {"input_mtok": 0.3, "output_mtok": 5, "output_hologram_mtok": 9},
                    },
                ],
            },
            {"id": "acme-odd", "match": {"equals": "acme-odd"}, "prices": {"cache_read_mtok": 1}},
        ],
    }
]
