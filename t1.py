import time, numpy as np, torch
from pathlib import Path
from damageland.evaluate.study.spec import read_study
from damageland.sim.shards import read_shard
from damageland.train.data import load_views
from damageland.train.mixture import *
from damageland.train.models import build
from damageland.train.loop import detector_losses
from damageland.train.steps import *
import glob

spec = read_study(Path("assets/studies/demo.yaml"), data=("x",), real="y")
torch.set_num_threads(1)


def caps():
    for p in sorted(glob.glob("/tmp/w/s6/studydata/study/shard-*.tar"))[:6]:
        yield from read_shard(Path(p))


t = time.time()
v = load_views(caps(), frame_px=spec.config.frame_px)
print(len(v), len(v.pairs), "load", time.time() - t)
net = build(spec.config.width, 0)["detect"]
n = 20
for name, m in (("pairs", Mixture(v)), ("paste", Mixture(v, pasted=True))):
    c = time.process_time()
    t = time.time()
    run_stage(
        Stage("a", n),
        net,
        spec.config,
        lambda s: draw_mixture(m, spec.config, np.random.default_rng(s)),
        detector_losses(net, spec.config),
        TrainingLog(Path("x/y")),
    )
    print(name, "cpu/step", (time.process_time() - c) / n, "wall", (time.time() - t) / n)
m = Mixture(v)
c = time.process_time()
for s in range(10):
    draw_mixture(m, spec.config, np.random.default_rng(s))
print("draw", (time.process_time() - c) / 10)
import cProfile, pstats

pr = cProfile.Profile()
pr.enable()
for s in range(10):
    draw_mixture(m, spec.config, np.random.default_rng(s))
pr.disable()
pstats.Stats(pr).sort_stats("tottime").print_stats(8)
