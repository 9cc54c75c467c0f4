"""Write the page to look at: what the run's stages left, in one file that needs no network.

In: data/faces/{train,test,teacher_train}, data/soft_landmarks, data/teacher_predictions,
reports/{metrics,training,cost}.json, reports/{asm,curves,evaluation}; and, of the moment,
reports/durations, params.yaml as a whole, git's revision and this machine.
Out: reports/index.html. Params: kd (others show in what the stages before left).
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.html_report.material import load_material
from landmark_kd.html_report.provenance import provenance
from landmark_kd.html_report.report import write_report
from landmark_kd.html_report.run import load_run
from stages import run_stage


def main() -> None:
    params = load_params()
    size = write_report(load_run(), load_material(params.kd), provenance(), paths.PAGE)
    print(f"{paths.PAGE}: {size / 1e6:.1f} MB; open it in any browser")


if __name__ == "__main__":
    run_stage(main)
