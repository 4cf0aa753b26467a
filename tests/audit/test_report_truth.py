"""All 22 answers over logs whose truth is known, in both languages: what was told is what the page says."""

import pytest

from audit.report_say import Language
from privacy.log.record import Actor, Entry
from tests.audit.report_stories import (
    ADMIN,
    HOUR_US,
    PURPOSE,
    ReadPage,
    Story,
    alarm,
    decided,
    made_page,
    sent,
    spends,
)
from tests.privacy.logs import ingress

DAY_US = 24 * HOUR_US
LANGUAGES: tuple[Language, ...] = ("en", "zh")


def tell_jobs(story: Story) -> None:
    """Day 1: job-1 accepted, two parts and a vote leave. job-2 refused. A part leaves for job-3, never decided."""
    assessed = {
        "doc_sha256": "d0" * 32, "type": "PIPIA", "scope": [PURPOSE], "valid_to": "2026-12-31",
        "signatories": ["dpo-1"],
    }  # fmt: skip
    seats = [f"bank-{letter}" for letter in "abcde"]
    story.answer(decided("job-1", approvers=seats))
    story.tell(Entry("assessment.recorded", assessed), decided("job-1"))
    story.tell(sent("job-1", "m-1", 5_000), sent("job-1", "m-2", 7_000))
    story.tell(sent("job-1", "m-3", 516, "secagg.consent", cohort="11111"))
    story.tell(decided("job-2", accepted=False), sent("job-2", "m-4", 120, "secagg.decline"))
    story.tell(sent("job-3", "m-5", 900))
    for name, size in (("m-1", 5_000), ("m-3", 516), ("m-4", 120), ("m-5", 900)):
        story.answer(ingress(0, msg_id=name, bytes=size))
    frames = {
        "msg_id": "control/1", "to": "coordinator", "bytes": 4096, "payload_kind": "control",
        "protection": "fixed-size", "frames": 16,
    }  # fmt: skip
    story.tell(Entry("egress.authorised", frames))


def tell_sums(story: Story) -> None:
    """Two sums: one of five banks, one that bank number 4 dropped out of, below a floor of five."""
    for position, survivors in ((1, "11111"), (2, "11101")):
        missing = "".join("0" if bit == "1" else "1" for bit in survivors)
        body = {
            "protocol": "creditmesh-secagg/1", "epoch": 1, "position": position, "cohort": "11111",
            "survivors": survivors, "dropouts": missing, "threshold": 4, "commitments_sha256": "11" * 32,
            "revealed_sha256": "22" * 32, "aggregate_sha256": "33" * 32,
        }  # fmt: skip
        story.tell(Entry("secagg.round", body, PURPOSE, "job-1", position))
    trained = {"dataset": "loans-2026", "steps": 1, "ms": 5, "model_in_sha256": "00" * 32, "code_sha256": "c0" * 32}
    story.tell(Entry("train.round", trained, PURPOSE, "job-1", 1))


def tell_keepers(story: Story) -> None:
    """Data sets, an erasure in time and a late one, a rotation for a doubtful key, a member gone, looks at the log."""
    body: dict[str, object]
    for name, until in (("loans-2026", "2031-12-31"), ("loans-2019", "2020-01-31")):
        body = {
            "dataset": name, "schema_sha256": "5c" * 32, "class": "C2", "basis": "contract",
            "unit_of_privacy": "record", "retention_until": until,
        }  # fmt: skip
        story.tell(Entry("dataset.registered", body))
    for name, done in (("req-1", "2026-09-10"), ("req-2", "2026-09-20")):
        body = {
            "request_ref": name, "type": "erasure", "received": "2026-09-01", "due": "2026-09-15", "done": done,
            "seqs": [1, 2], "method": "key-destroyed",
        }  # fmt: skip
        story.tell(Entry("erasure.done", body))
    rotated = {
        "role": "log", "old_vkey": "old+00000000+AA", "new_vkey": "new+11111111+BB", "overlap_until": "2026-10-01",
        "reason": "laptop stolen", "last_good_size": 7,
    }  # fmt: skip
    story.tell(Entry("key.rotated", rotated, actor=ADMIN))
    changed = {
        "member": "bank-d", "action": "excluded", "vkeys": [], "policy_sha256": "00" * 32, "quorum": {"k": 3, "n": 4},
    }  # fmt: skip
    story.tell(Entry("member.changed", changed))
    for who, decision, actor in (("admin-7", "allowed", ADMIN), ("guest", "denied", None)):
        body = {"subject": who, "action": "export", "resource": "log", "decision": decision, "policy_version": "1"}
        story.tell(Entry("access.checked", body, actor=actor))
    exported = {
        "who": "auditor-1", "filter": "all", "rows": 12, "files": [{"name": "log.jsonl", "sha256": "ee" * 32}],
        "checkpoint": {"size": 3, "root": "00" * 32},
    }  # fmt: skip
    story.tell(Entry("audit.exported", exported, actor=Actor("auditor", "auditor-1", "auditor", "otp")))


def tell_verdicts(story: Story) -> None:
    """Three decisions by one model, one of them overruled by a person; the model was released from job-1."""
    for number, review in enumerate(("none", "none", "overruled")):
        body = {
            "ref": f"{number:02x}" * 32, "model_sha256": "4d" * 32, "features_c": "fe" * 32, "score": 640 + number,
            "threshold": 600, "outcome": "granted", "reason_codes": ["R1", "R7"], "explanation_sha256": "ec" * 32,
            "review": review,
        }  # fmt: skip
        story.tell(Entry("decision.made", body))
    released = {
        "version": "scorecard-3", "sha256": "4d" * 32, "jobs": ["job-1"], "metrics": [{"name": "auc", "value": "0.81"}],
        "validation_sha256": "7a" * 32, "approvers": ["model-risk"], "quorum_size": 3,
    }  # fmt: skip
    story.answer(Entry("model.released", released))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[Language, ReadPage]:
    root = tmp_path_factory.mktemp("story")
    story = Story(root)
    tell_jobs(story)
    tell_sums(story)
    story.tell(*spends(("8", "0.01", "0.01")), alarm("budget", "high", "cap reached on loans-2026"))
    tell_keepers(story)
    tell_verdicts(story)
    story.clock.pass_us(2 * DAY_US)
    story.tell(alarm("fork", "critical", "two histories of bank-b", notified_at="2026-09-23T15:00:00Z"))
    story.clock.pass_us(-30_000_000, 1_000)
    story.tell(sent("job-1", "m-9", 640))
    story.answer(ingress(0, msg_id="m-9", bytes=640))
    story.clock.pass_us(HOUR_US)
    story.answer(alarm("disk", "low", "an append failed"))
    story.close()
    page = made_page(root / "r.html", story.bank, "--coordinator", story.coordinator, code=1)
    return {language: ReadPage(page, language) for language in LANGUAGES}


STATUSES = {
    1: "listed", 2: "attention", 3: "attention", 4: "clear", 5: "attention", 6: "listed", 7: "clear", 8: "clear",
    9: "attention", 10: "partial", 11: "clear", 12: "listed", 13: "listed", 14: "listed", 15: "listed", 16: "listed",
    17: "attention", 18: "attention", 19: "attention", 20: "attention", 21: "attention", 22: "attention",
}  # fmt: skip

TRUTH: dict[int, tuple[str, str]] = {
    1: (
        "6 messages of 14.2 kB (14,176 bytes) in all left the bank on 2 days, to 1 recipient.",
        "银行共外发报文 6 份，合计 14.2 kB（14,176 字节），涉及 2 天、1 个接收方。",
    ),
    2: (
        "1 message of 6 left without an approval that stands before it.",
        "6 份外发报文中，有 1 份在其之前没有对应的批准记录。",
    ),
    3: (
        "5 messages of the banks agree in both logs in digest and size; 1 difference must be looked at, 0 of "
        "low severity.",
        "双方日志中摘要与长度一致的银行报文 5 份；需核查的差异 1 项，低风险提示 0 项。",
    ),
    4: (
        "1 data set spent privacy; every recorded ε equals the one recomputed from the records.",
        "共 1 个数据集消耗了隐私预算；各条登记的 ε 与依据记录复算的结果全部一致。",
    ),
    5: (
        "Yes: the cap was exceeded on 1 data set; spending went on afterwards on 1. 1 alarm of class budget.",
        "是。共有 1 个数据集突破上限，其中 1 个在突破后仍继续消耗；预算类告警 1 条。",
    ),
    6: (
        "3 decisions about jobs: 2 accepted, 1 refused; 0 accepted without a named approver.",
        "作业决定共 3 项：批准 2 项，拒绝 1 项；未记载批准人的批准 0 项。",
    ),
    7: (
        "1 assessment; each of 1 decision of banks to accept a job stands under one that was valid that day.",
        "评估记录 1 份；银行批准作业的 1 项决定均有当日有效的评估覆盖。",
    ),
    8: (
        "Yes, for 42 of 42 records: each stands in the tree under a checkpoint that its log signed.",
        "可以。42 条记录中的 42 条均处于日志签名检查点之下的树中。",
    ),
    9: (
        "No: 0 contradictions between a log and what others hold of it, 1 alarm about two histories.",
        "否。日志与他方所持检查点矛盾 0 处，涉及两份历史的告警 1 条。",
    ),
    10: (
        "Each of the 4 recorded parts of a sum left masked; the other payloads are keys, votes and signatures.",
        "已登记的 4 份聚合分量全部带掩码外发；其余报文为密钥、表决与签名。",
    ),
    11: (
        "4 banks, over 2 opened sums; none below the job's floor.",
        "最小为 4 家机构（共 2 次已打开的聚合）；均不低于作业约定的下限。",
    ),
    12: (
        "3 decisions by 1 model version, each with its reason codes and the digest of its explanation.",
        "已登记决定 3 项，涉及模型版本 1 个；每项均载有原因代码及解释文件摘要。",
    ),
    13: (
        "1 of 3 decisions (33.3 %) carry a review code of overruling; every review code is listed below.",
        "3 项决定中，人工推翻的有 1 项（33.3%）；各类复核代码见下表。",
    ),
    14: (
        "1 model released, out of 1 job; the data sets of 1 of these jobs are recorded in the given logs.",
        "已发布模型 1 个，来源作业 1 项；其中 1 项的数据集可在所提供的日志中查到。",
    ),
    15: (
        "1 export and 2 checks of access, 1 of them denied.",
        "导出 1 次；访问校验 2 次，其中拒绝 1 次。",
    ),
    16: (
        "1 act of administrators, 1 change of members, 1 change of keys.",
        "管理员操作 1 次，成员变更 1 次，密钥变更 1 次。",
    ),
    17: (
        "2 data sets registered with basis, class and retention; the retention of 1 had ended when this "
        "report was made.",
        "已登记数据集 2 个，均载有合法性基础、分级与保存期限；截至本报告生成时，1 个已过保存期限。",
    ),
    18: (
        "2 erasures recorded, 1 after the due date, 0 without dates that can be compared. A request that was never "
        "carried out leaves no record here.",
        "已登记删除 2 项，其中逾期 1 项，日期无法比对 0 项。从未执行的请求不会在此留下记录。",
    ),
    19: (
        "2 starts of logging, 0 after an unclean end; the longest pause before a start was 0 seconds; 2 "
        "silences of more "
        "than 25 hours; 1 alarm about gaps or disks.",
        "日志启动 2 次，其中异常中断后启动 0 次；启动前最长停顿 0 秒；超过 25 小时无记录的静默 2 次；"
        "缺口或磁盘类告警 1 条。",
    ),
    20: (
        "2 alarms about clock steps, the wall clock went back 1 time; 0 of 5 messages that two logs time "
        "differ by more "
        "than five seconds (a slow delivery looks the same).",
        "时钟跳变告警 2 条，系统时钟回拨 1 次；双方日志均有时间的 5 份报文中，相差超过 5 秒的 0 "
        "份（送达迟缓亦会如此）。",
    ),
    21: (
        "1 rotation recorded, 1 of them because a key had become doubtful.",
        "密钥轮换 1 次，其中因密钥可疑而轮换 1 次。",
    ),
    22: (
        "5 alarms, 2 of high or critical severity; for 1 of these the record names no time at which somebody was told.",
        "告警 5 条，其中高或严重级别 2 条；后者中有 1 条未记载通知时间。",
    ),
}

# Rows without their last cell, the proof: question, caption in both languages, the row in both languages.
ROWS: list[tuple[int, tuple[str, str], list[str], list[str]]] = [
    (
        1, ("By day, recipient, purpose and kind", "按日期、接收方、用途与类型汇总"),
        ["bank-a", "2026-09-21", "coordinator", PURPOSE, "secagg.upload", "masked", "3", "12,900"],
        ["bank-a", "2026-09-21", "coordinator", PURPOSE, "secagg.upload", "masked", "3", "12,900"],
    ),
    (
        2, ("Messages without an approval", "缺少批准的报文"),
        ["bank-a", "2026-09-21 14:13:20", "coordinator", "job-3", "secagg.upload", "900",
         "no decision about its job stands before it"],
        ["bank-a", "2026-09-21 14:13:20", "coordinator", "job-3", "secagg.upload", "900", "此前没有该作业的批准记录"],
    ),
    (
        3, ("Differences", "差异明细"),
        ["bank-a", "medium", "sent, and never received by the coordinator", "m-2"],
        ["bank-a", "中", "已发送，协调方从未收到", "m-2"],
    ),
    (
        5, ("Where the cap was first exceeded", "首次突破上限的位置"),
        ["bank-a", "2026-09-21 14:13:20", "loans-2026", "0.545889", "0.01", "1", "went on"],
        ["bank-a", "2026-09-21 14:13:20", "loans-2026", "0.545889", "0.01", "1", "仍在继续"],
    ),
    (
        6, ("Decisions about jobs", "作业决定"),
        ["bank-a", "2026-09-21 14:13:20", "job-2 marketing",
         "refused the permit does not allow the purpose 'marketing'",
         "permit bank-a (node, service, mtls)", "5a5a5a5a5a5a… c0c0c0c0c0c0…", "4 no noise recorded"],
        ["bank-a", "2026-09-21 14:13:20", "job-2 marketing", "拒绝 the permit does not allow the purpose 'marketing'",
         "permit bank-a (node, service, mtls)", "5a5a5a5a5a5a… c0c0c0c0c0c0…", "4 无噪声记录"],
    ),
    (
        11,
        ("Sums that a bank dropped out of, or is missing from for the first time", "有机构中途退出或首次缺席的聚合"),
        ["bank-a", "2026-09-21 14:13:20", "job-1", "2", "4", "11101", "bank-d", "4"],
        ["bank-a", "2026-09-21 14:13:20", "job-1", "2", "4", "11101", "bank-d", "4"],
    ),
    (
        14, ("What the jobs used", "各作业所用代码与数据集"),
        ["job-1", "c0c0c0c0c0c0…", "loans-2026"], ["job-1", "c0c0c0c0c0c0…", "loans-2026"],
    ),
    (
        18, ("Erasures", "删除执行记录"),
        ["bank-a", "req-2", "erasure", "2026-09-01", "2026-09-15", "2026-09-20", "late", "2", "key-destroyed"],
        ["bank-a", "req-2", "erasure", "2026-09-01", "2026-09-15", "2026-09-20", "逾期", "2", "key-destroyed"],
    ),
    (
        19, ("Silences of more than 25 hours", "超过 25 小时的静默"),
        ["bank-a", "2026-09-21 14:13:20", "2026-09-23 14:13:20", "48"],
        ["bank-a", "2026-09-21 14:13:20", "2026-09-23 14:13:20", "48"],
    ),
    (
        21, ("Rotations of keys", "密钥轮换"),
        ["bank-a", "2026-09-21 14:13:20", "log", "old+00000000+AA → new+11111111+BB", "2026-10-01", "laptop stolen",
         "good up to 7 records"],
        ["bank-a", "2026-09-21 14:13:20", "log", "old+00000000+AA → new+11111111+BB", "2026-10-01", "laptop stolen",
         "可信至第 7 条"],
    ),
    (
        22, ("Alarms of high and critical severity", "高级与严重级告警"),
        ["bank-a", "2026-09-21 14:13:20", "budget", "high", "", "cap reached on loans-2026", "not recorded"],
        ["bank-a", "2026-09-21 14:13:20", "budget", "高", "", "cap reached on loans-2026", "未记载"],
    ),
]  # fmt: skip


def test_every_question_is_answered_in_both_languages(pages: dict[Language, ReadPage]) -> None:
    for language in LANGUAGES:
        assert list(pages[language].questions) == list(range(1, 23))
        assert {number: each.status for number, each in pages[language].questions.items()} == STATUSES
    for english, chinese in zip(pages["en"].questions.values(), pages["zh"].questions.values(), strict=True):
        assert len(english.sentences) == len(chinese.sentences) > 0
        assert list(map(len, english.tables.values())) == list(map(len, chinese.tables.values()))
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in "".join(english.sentences))
        assert all(any("\u4e00" <= letter <= "\u9fff" for letter in each) for each in chinese.sentences)


@pytest.mark.parametrize("number", range(1, 23))
def test_the_first_sentence_tells_the_truth(pages: dict[Language, ReadPage], number: int) -> None:
    assert tuple(pages[language].questions[number].sentences[0] for language in LANGUAGES) == TRUTH[number]
    for language, truth in zip(LANGUAGES, TRUTH[number], strict=True):
        assert pages[language].overview[number - 1][2].endswith(truth)


@pytest.mark.parametrize(("number", "captions", "english", "chinese"), ROWS, ids=[f"{each[0]}" for each in ROWS])
def test_the_row_is_there_in_both_languages(
    pages: dict[Language, ReadPage], number: int, captions: tuple[str, str], english: list[str], chinese: list[str]
) -> None:
    for language, caption, row in zip(LANGUAGES, captions, (english, chinese), strict=True):
        rows = pages[language].questions[number].tables[caption]
        assert row in rows or row in [each[:-1] for each in rows]
