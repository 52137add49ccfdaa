# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make docs`: the documentation site of the collection, built by antsibull-docs and Sphinx into .build/docs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from environments import BUILD, ROOT, TEST, SetupError, ensure, process_environment

SITE = BUILD / "docs"


def main() -> int:
    """Makes the reference pages from the plugins, then HTML from the pages."""
    try:
        bin_folder = ensure(TEST)
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 1
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir(mode=0o700, parents=True)  # antsibull-docs wants it to be there, and writable by nobody else
    environ = process_environment(bin_folder)
    antsibull = [str(bin_folder / "antsibull-docs"), "sphinx-init", "--use-current", "--dest-dir", str(SITE)]
    lenient = ["--lenient", "--squash-hierarchy", "winfleet.hotpatch"]
    subprocess.run([*antsibull, *lenient], cwd=ROOT, env=environ, check=True)
    configuration = SITE / "conf.py"
    text = configuration.read_text(encoding="utf-8")
    # The inventories of other sites would be fetched; this build must do without.
    text = re.sub(r"intersphinx_mapping = \{.*?\n\}", "intersphinx_mapping = {}", text, flags=re.DOTALL)
    configuration.write_text(text, encoding="utf-8")
    collection = [str(bin_folder / "antsibull-docs"), "--config-file", str(SITE / "antsibull-docs.cfg"), "collection"]
    rst = SITE / "rst"
    pages = ["--use-current", "--squash-hierarchy", "--dest-dir", str(rst), "winfleet.hotpatch"]
    subprocess.run([*collection, *pages], cwd=ROOT, env=environ, check=True)
    html = SITE / "html"
    sphinx = [str(bin_folder / "sphinx-build"), "-q", "-b", "html", "-c", str(SITE), str(rst), str(html)]
    subprocess.run(sphinx, cwd=ROOT, env=environ, check=True)
    print(f"The site is at {(html / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
