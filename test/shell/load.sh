#!/usr/bin/env bash
# A short slice of test/load.sh: whether it is right, not how fast.
set -euo pipefail

SCALE=0.02 exec bash "$RFM_SOURCE_DIR/test/load.sh" 10
