"""P2: shapes32's network on patches of 2x2 at 64x64."""
from ml_collections import ConfigDict
from configs import quickstart, srn_chairs


def get_config(arg: str = "") -> ConfigDict:
  c = srn_chairs.get_config()
  c.data.update(name="shapes", config="64", resolution=64, num_threads=1)
  quickstart.use_small_network(c)
  c.model.update(
    patch_size=2, detail_ch=16, attn_resolutions=(8,), cross_attn_resolutions=(8, 16),
  )
  c.diffusion.logsnr_shift = -2.0
  c.optim.update(learning_rate=7e-4, warmup_examples=800, ema_half_life_examples=2_000)
  c.train.update(
    batch_size=16, num_examples=200_000, init_from="shapes32", log_every_steps=10,
    eval_every_steps=300, checkpoint_every_steps=100, eval_batches=4,
  )
  c.sample.update(num_objects=4, batch_size=4)
  c.evaluate.update(num_objects=8, num_views=4, batch_size=8)
  return srn_chairs.variant(c, arg)
