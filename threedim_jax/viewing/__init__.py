# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes pages and pictures from the files that a run left in its workdir.

Code here loads no model. It may import from only these other folders of the
package: `workdir`, `views` and `runtime`.
"""
