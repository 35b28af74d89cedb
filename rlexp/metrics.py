"""Metric names, and sums between two logs. The names are an interface: they don't change."""

from __future__ import annotations

import math
from collections import deque
from statistics import pstdev
from typing import Any

from rlexp.guard import NonFinite
from rlexp.types import SOLO, Episode, Metrics, State

NAMES = {
    "train/reward": "mean reward of a move",
    "train/regret": "mean of what the best arm pays above the one that was pulled",
    "train/return": "mean return of the last 100 episodes",
    "train/return_std": "their standard deviation",
    "train/length": "mean length of the last 100 episodes, in moves",
    "train/episode_return": "mean return of the episodes since the last log (100 at most)",
    "train/episode_length": "mean length of the episodes since the last log (100 at most)",
    "train/return_max": "highest return of an episode so far",
    "train/success_rate": "share of the last 100 episodes that succeeded (info is_success)",
    "train/x_pos": "how far the last 100 episodes came, mean (info x_pos: Mario's, in pixels)",
    "train/episodes": "episodes so far",
    "train/epsilon": "probability of a random action",
    "train/lr": "learning rate",
    "train/buffer": "transitions in the buffer",
    "train/updates": "gradient updates so far",
    "train/q": "mean action value of the batches",
    "train/td_error": "mean absolute TD error of the batches",
    "train/grad_norm": "norm of the gradient before clipping",
    "train/entropy": "mean entropy of the policy, nats",
    "train/temperature": "what a nat of entropy is worth in reward",
    "train/kl": "estimated KL divergence of the new policy from the one that played",
    "train/clip_fraction": "share of moves whose probability ratio left the clip range",
    "train/explained_variance": "share of the returns' variance that the critic explains",
    "train/advantage": "mean advantage of the batches",
    "train/policy_change": "change of a policy by an episode's update, summed over all entries",
    "train/expected_steps": "exact mean number of moves to the goal, of the policies as they are",
    "train/latent_kl": "KL divergence of the posterior latents from the prior, nats",
    "train/prior_entropy": "entropy of the latents before an observation, nats",
    "train/posterior_entropy": "entropy of the latents after it, nats",
    "train/reward_accuracy": "share of rewards predicted to within a tenth of them, or of 1",
    "train/continue_accuracy": "share of steps of which the model knows whether the game goes on",
    "train/mask_accuracy": "share of actions of which the model knows whether they are legal",
    "train/imagined_reward": "mean predicted reward of imagined steps",
    "train/imagined_return": "mean return of imagined games",
    "train/return_range": "spread of imagined returns, 5th to 95th percentile, averaged",
    "train/actor_grad_norm": "norm of the actor's gradient before clipping",
    "train/critic_grad_norm": "norm of the critic's gradient before clipping",
    "train/rating": "self-play: the learner's Elo rating among its rivals, 1200 at the start",
    "train/pool": "self-play: frozen copies that play or may play",
    "train/won": "self-play: share of the last 100 games that the learner won, draws by half",
    "loss/td": "loss of the TD errors",
    "loss/cross_entropy": "cross-entropy of the receiver's answers",
    "loss/total": "sum of the weighted losses",
    "loss/policy": "policy loss",
    "loss/value": "loss of the critic: squared error, or cross-entropy of its distribution",
    "loss/model": "loss of the world model, its weighted parts added up",
    "loss/recon": "squared error of predicted observations, summed over each, pixels in 0..1",
    "loss/reward": "loss of predicted rewards",
    "loss/continue": "cross-entropy of whether the game goes on",
    "loss/mask": "cross-entropy of which actions are legal, summed over the actions",
    "loss/kl_dynamics": "KL divergence that moves the prior, at least the free nats",
    "loss/kl_representation": "KL divergence that moves the posterior, at least the free nats",
    "loss/fit": "what a supervised learner minimises, penalties aside, mean over its batches",
    "loss/l1": "its L1 penalty",
    "eval/return_mean": "mean return of greedy evaluation episodes",
    "eval/return_ci_low": "lower end of its 95 % interval (docs/config.md)",
    "eval/return_ci_high": "upper end of its 95 % interval",
    "eval/length_mean": "mean length of evaluation episodes, in moves",
    "eval/success_rate": "share of evaluation episodes that succeeded",
    "eval/success": "share of all pictures that the receiver names rightly (docs/language.md)",
    "eval/capacity_bound": "highest success of so many messages (docs/language.md)",
    "eval/ahead_rate": "games with more lives than the rival at the end, by rival (self-play)",
    "eval/ahead_rate_ci_low": "lower end of its 95 % interval, by rival",
    "eval/ahead_rate_ci_high": "upper end of its 95 % interval, by rival",
    "eval/behind_rate": "games with fewer lives than the rival at the end, by rival",
    "eval/win_rate": "games in which the rival alone lost all lives, by rival",
    "eval/win_rate_ci_low": "lower end of its 95 % interval, by rival",
    "eval/win_rate_ci_high": "upper end of its 95 % interval, by rival",
    "eval/draw_rate": "games in which both or neither did, by rival",
    "eval/loss_rate": "games in which the agent alone did, by rival",
    "eval/lives_difference": "mean lives at the end, less the rival's, by rival",
    "eval/hits": "mean hits on the rival in a game, by rival",
    "eval/self_hits": "mean hits on itself in a game, by rival",
    "eval/purity": "share of games that the best receiver could win (docs/language.md, also below)",
    "eval/shuffled_success": "success with messages shuffled among the games",
    "eval/distinct": "different messages",
    "eval/message_entropy": "entropy of the messages, bits",
    "eval/class_information": "information of messages about classes, bits",
    "eval/ambiguity": "entropy of the class given the message, bits",
    "eval/synonymy": "entropy of the message given the class, bits",
    "eval/topographic_similarity": "rank correlation of distances between messages and meanings",
    "eval/posdis": "positional disentanglement",
    "eval/bosdis": "bag-of-symbols disentanglement",
    "eval/open_loop_psnr_1": "PSNR of predictions 1 step ahead on unseen games, dB",
    "eval/open_loop_psnr_5": "PSNR of predictions 5 steps ahead on unseen games, dB",
    "eval/open_loop_psnr_10": "PSNR of predictions 10 steps ahead on unseen games, dB",
    "eval/open_loop_psnr_15": "PSNR of predictions 15 steps ahead on unseen games, dB",
    "eval/copied_psnr_1": "PSNR of the last seen frame, copied, after 1 step, dB",
    "eval/copied_psnr_5": "PSNR of the last seen frame, copied, after 5 steps, dB",
    "eval/copied_psnr_10": "PSNR of the last seen frame, copied, after 10 steps, dB",
    "eval/copied_psnr_15": "PSNR of the last seen frame, copied, after 15 steps, dB",
    "time/steps_per_s": "environment steps a second since the last log",
    "time/updates_per_s": "updates a second of the time spent on them, since the last log",
    "time/elapsed_s": "seconds since the run began, resumed parts added up",
}
WINDOW = 100


class Meter:
    """Means of metrics since the last log, and of the last 100 episodes.

    Part of every checkpoint: a resumed run logs the very numbers it would have logged.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self.episodes: deque[Episode] = deque(maxlen=WINDOW)
        self.fresh = 0  # episodes since the last log
        self.highest = -math.inf

    def add(self, metrics: Metrics) -> None:
        for name, value in metrics.items():
            # Numbers are summed in double precision; a tensor elsewhere stays there until the log.
            if hasattr(value, "device") and value.device.type != "cpu":
                value = value.double()
            else:
                value = float(value)
                if not math.isfinite(value):
                    raise NonFinite(name, value)
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def finish(self, episodes: list[Episode]) -> None:
        self.episodes.extend(episodes)
        self.fresh += len(episodes)
        best = max(next(iter(e.returns.values())) for e in episodes)
        self.highest = max(self.highest, best)

    def take(self) -> dict[str, float]:
        """The means; starts anew."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        means |= self.summary() | self._since()
        self.sums, self.counts, self.fresh = {}, {}, 0
        return means

    def summary(self) -> dict[str, float]:
        """Of the last episodes; empty before the first has ended."""
        if not self.episodes:
            return {}
        found: dict[str, float] = {}
        for seat in self.episodes[-1].returns:
            name = "train/return" if seat == SOLO else f"train/return/{seat}"
            values = [e.returns[seat] for e in self.episodes]
            found[name] = _mean(values)
            found[name.replace("return", "return_std")] = pstdev(values)
        found["train/length"] = _mean([e.length for e in self.episodes])
        if any("is_success" in e.info for e in self.episodes):
            success = [e.info.get("is_success", 0.0) for e in self.episodes]
            found["train/success_rate"] = _mean(success)
        if "x_pos" in self.episodes[-1].info:
            found["train/x_pos"] = _mean([e.info.get("x_pos", 0.0) for e in self.episodes])
        return found

    def _since(self) -> dict[str, float]:
        """Of the episodes since the last log; empty where there are none."""
        if not self.fresh:
            return {}
        new = list(self.episodes)[-min(self.fresh, WINDOW) :]
        seats = new[-1].returns
        found = {"train/episode_length": _mean([e.length for e in new])}
        if len(seats) == 1:
            found["train/episode_return"] = _mean([next(iter(e.returns.values())) for e in new])
            found["train/return_max"] = self.highest
        return found

    def state_dict(self) -> State:
        return {
            "sums": {name: float(total) for name, total in self.sums.items()},
            "counts": dict(self.counts),
            "fresh": self.fresh,
            "highest": self.highest,
            "episodes": [[e.row, e.length, e.returns, e.info] for e in self.episodes],
        }

    def load_state_dict(self, state: State) -> None:
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])
        self.fresh, self.highest = state["fresh"], state["highest"]
        self.episodes = deque((Episode(*e) for e in state["episodes"]), maxlen=WINDOW)


def _mean(values: list[float] | list[int]) -> float:
    return sum(values) / len(values)
