"""Say where the running job stands at this moment, for the console: phase, round, and who is waited for.

It is read from the session now and then, beside the round's own path, and costs that nothing. Theory: people read
seconds; a phase that is over before anybody could look is not worth a write.

The document, JSON: `{"job", "round": int, "name", "phase", "phase_zh", "waiting_for": [MEMBER], "deadline_us": int |
null, "since_us": int}`, times UTC microseconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordinator.clerk import Clerk
from privacy.secagg.aggregator import Phase

__all__ = ["PHASES_ZH", "LiveWatch"]

PHASES_ZH: Mapping[str, str] = {
    "joining": "等待成员加入",
    "approving": "等待银行人员批准",
    "paused": "已暂停",
    Phase.IDLE.value: "准备中",
    Phase.ASSEMBLING.value: "交换密钥",
    Phase.AGREEING.value: "确认密钥",
    Phase.READY.value: "计算下一轮",
    Phase.UPLOADING.value: "上传掩码数据",
    Phase.VOTING.value: "确认参与名单",
    Phase.REVEALING.value: "恢复离线成员的掩码",
    Phase.SETTLED.value: "去除掩码",
    Phase.CHECKING.value: "核验求和结果",
    Phase.VERIFIED.value: "求和已核验",
}


@dataclass(slots=True)
class LiveWatch:
    """Look at one job now and then; now_us: reads UTC microseconds."""

    clerk: Clerk
    now_us: Callable[[], int]
    _last: dict[str, Any] = field(default_factory=dict)

    def look(self) -> dict[str, Any] | None:
        """Return where the job stands, or None if that is what the last look found."""
        found = self._found()
        before = {name: self._last.get(name) for name in found}
        if found == before:
            return None
        place = ("round", "phase")
        since = self._last["since_us"] if self._last and all(found[key] == before[key] for key in place) else None
        self._last = {**found, "since_us": since or self.now_us()}
        return dict(self._last)

    def _found(self) -> dict[str, Any]:
        clerk, session = self.clerk, self.clerk.session
        if session is None:
            waiting = clerk.enlistment.pending if clerk.enlistment else frozenset()
            return self._document("joining" if clerk.state == "queued" else clerk.state, (0, ""), waiting, None)
        aggregator = session.aggregator
        place = (len(aggregator.opened) + 1, session.request_name)
        if clerk.state == "paused":
            return self._document("paused", place, session.awaited, None)
        left_s = session.deadline - session.now if session.deadline else None
        deadline = None if left_s is None else self.now_us() + int(left_s * 1e6)
        if deadline is not None and self._last.get("deadline_us") and abs(deadline - self._last["deadline_us"]) < 10**6:
            deadline = self._last["deadline_us"]  # two clocks never agree to the microsecond
        return self._document(aggregator.phase.value, place, aggregator.pending(), deadline)

    def _document(
        self, phase: str, place: tuple[int, str], waiting: frozenset[str], deadline: int | None
    ) -> dict[str, Any]:
        return {
            "job": self.clerk.job.id,
            "round": place[0],
            "name": place[1],
            "phase": phase,
            "phase_zh": PHASES_ZH.get(phase, phase),
            "waiting_for": sorted(waiting),
            "deadline_us": deadline,
        }
