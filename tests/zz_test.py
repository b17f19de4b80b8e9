import os
def test_a():
  import jax
  print(jax.config.jax_compilation_cache_dir, jax.config.jax_numpy_rank_promotion, jax.config.jax_persistent_cache_min_compile_time_secs, jax.device_count(), os.environ["XLA_FLAGS"])
  assert 0
