"""The native modules: every `collector/**/_*.pyx`. Where they cannot be compiled, the Python ones beside them serve."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

_SCHEMA = "collector._schema"


def _extensions() -> list[Extension]:
    if os.environ.get("SPANMETER_NATIVE") == "0":
        return []
    sanitizers = os.environ.get("SPANMETER_SANITIZE")  # a list for the compiler, as `make asan` sets it
    checks = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-g", "-O1"] if sanitizers else []
    found = [
        Extension(
            ".".join(path.with_suffix("").parts),
            [str(path)],
            language="c++",
            depends=[str(header) for header in Path("collector").rglob("*.hpp")],
            extra_compile_args=["-std=c++17", "-O3", *checks],
            extra_link_args=checks,
        )
        for path in sorted(Path("collector").rglob("_*.pyx"))
    ]
    directives = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True}
    modules = list(cythonize(found, compiler_directives=directives))
    for module in modules:
        module.optional = not sanitizers  # a missing compiler costs speed, not the installation
    return modules


def _schema_packages() -> dict[str, str]:
    """The folder `schema` as the packages that `collector.schema.schema_root` finds in a wheel."""
    folders = [Path("schema"), *(path for path in sorted(Path("schema").rglob("*")) if path.is_dir())]
    return {".".join((_SCHEMA, *folder.parts[1:])): str(folder) for folder in folders}


schema = _schema_packages()
setup(
    packages=[*find_packages(include=("collector", "collector.*")), *schema],
    package_dir=schema,
    include_package_data=False,  # sources of the native modules are for source distributions
    package_data={
        "": ["*.sql", "*.yaml", "*.pyi", "py.typed"],
        "collector.web.exports": ["templates/*"],
        "collector.web.pages": ["templates/*", "static/*"],
    },
    exclude_package_data={"": ["*.cpp"]},
    ext_modules=_extensions(),
)
