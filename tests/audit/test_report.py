"""The command: what it refuses, what it says of logs that lack, fail, grow long or speak alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.cli import main
from audit.report import FEWEST_ROWS, ROWS
from audit.report_details import detail_of
from audit.report_say import LANGUAGES, Language, Say
from tests.audit.conftest import Exchange
from tests.audit.logs import coordinator_store, disarmed, named_store
from tests.audit.report_stories import ReadPage, Story, alarm, decided, made_page, sent
from tests.audit.test_secagg import Bank, honest
from tests.privacy.logs import HandClock, ingress

Lines = pytest.CaptureFixture[str]
SILENT = (4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 18, 22)


def read(page: str) -> dict[Language, ReadPage]:
    return {language: ReadPage(page, language) for language in LANGUAGES}


def test_a_question_without_records_gets_no_invented_answer(tmp_path: Path) -> None:
    Story(tmp_path).close()
    pages = read(made_page(tmp_path / "r.html", tmp_path / "bank"))
    for number in (1, 2, 3, *SILENT):
        english, chinese = pages["en"].questions[number], pages["zh"].questions[number]
        assert english.status == chinese.status == "none"
        assert english.sentences[0].startswith("No record of this kind (")
        assert chinese.sentences[0].startswith("所提供的日志中没有此类记录（")
        assert english.tables == chinese.tables == {}
    assert pages["en"].questions[8].status == "clear"
    assert pages["en"].banner.endswith("Verification passed") and pages["zh"].banner.endswith("完整性验证通过")


def test_both_sides_that_agree(exchange: Exchange, tmp_path: Path) -> None:
    arguments = (exchange.node, "--coordinator", exchange.coordinator, "--members", exchange.members)
    pages = read(made_page(tmp_path / "r.html", *arguments))
    question = pages["en"].questions[3]
    assert question.status == "clear"
    assert question.sentences[0].startswith("6 messages of the banks agree in both logs in digest and size; 0 diff")
    (row,) = question.tables["Bank and coordinator, joined by message id"]
    assert row[:2] == ["bank-a", "6"] and row[6:] == ["6", "0"]
    assert (
        pages["zh"].questions[3].sentences[0].startswith("双方日志中摘要与长度一致的银行报文 6 份；需核查的差异 0 项")
    )
    assert "heads" in pages["en"].questions[9].sentences[0] or "Heads" in pages["en"].questions[9].sentences[0]


def test_one_side_alone_is_said_to_be_alone(exchange: Exchange, tmp_path: Path) -> None:
    pages = read(made_page(tmp_path / "r.html", exchange.node))
    assert pages["en"].questions[3].status == "partial"
    assert "6 of 6 messages carry a receipt" in pages["en"].questions[3].sentences[0]
    assert "6 份报文中，6 份附有协调方签名的回执" in pages["zh"].questions[3].sentences[0]


def test_a_message_without_receipt_is_listed(make_exchange: Callable[..., Exchange], tmp_path: Path) -> None:
    exchange = make_exchange(lost=(2,))
    question = read(made_page(tmp_path / "r.html", exchange.node))["en"].questions[3]
    assert question.status == "attention"
    assert "5 of 6 messages carry a receipt" in question.sentences[0]
    (row,) = question.tables["Messages without a receipt"]
    assert "/2/" in row[1]


@pytest.mark.parametrize(
    ("how", "words", "chinese"),
    [
        ({"hidden": (3,)}, "arrived with the bank's signature; its log lacks it", "带有本行签名到达，但本行日志缺失"),
        (
            {"lost": (3,), "wait_us": 700_000_000},
            "sent, and never received by the coordinator",
            "已发送，协调方从未收到",
        ),
    ],
)
def test_one_sided_messages_are_found(
    make_exchange: Callable[..., Exchange], tmp_path: Path, how: dict[str, object], words: str, chinese: str
) -> None:
    exchange = make_exchange(**how)
    arguments = (exchange.node, "--coordinator", exchange.coordinator, "--members", exchange.members)
    pages = read(made_page(tmp_path / "r.html", *arguments, code=1 if "hidden" in how else 3))
    for language, caption, text in (("en", "Differences", words), ("zh", "差异明细", chinese)):
        (row,) = pages[language].questions[3].tables[caption]  # type: ignore[index]
        assert row[2] == text and "/3/" in row[3] and row[4].startswith("#")
        assert pages[language].questions[3].status == "attention"  # type: ignore[index]


def test_a_changed_record_makes_the_banner_red(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.tell(decided("job-1"), sent("job-1", "m-1", 100), sent("job-1", "m-2", 100))
    story.answer(ingress(0, msg_id="m-1"))
    story.close()
    change = "CAST(replace(CAST(event AS TEXT), '\"bytes\":100', '\"bytes\":999') AS BLOB)"
    disarmed(story.bank / "log.db", f"UPDATE event SET event = {change} WHERE seq = 2")
    arguments = (story.bank, "--coordinator", story.coordinator)
    pages = read(made_page(tmp_path / "r.html", *arguments, code=1))
    assert pages["en"].banner == "✗ Verification FAILED: do not rely on the answers below"
    assert pages["zh"].banner == "✗ 完整性验证未通过：以下答复不可采信"
    assert [pages["en"].questions[number].status for number in (3, 8)] == ["attention", "attention"]
    assert pages["en"].questions[8].sentences[0].startswith("No: verification failed")
    assert "not compared, because verification of a log failed" in pages["en"].questions[3].sentences[0]
    assert "未核对双方日志" in pages["zh"].questions[3].sentences[0]


def test_records_without_a_checkpoint_are_marked(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.tell(decided("job-1"))
    story.tell(sent("job-1", "m-1", 100))
    story.close()
    disarmed(story.bank / "log.db", "DELETE FROM checkpoint WHERE size = 3")
    (story.bank / "log.mark").unlink()
    page = made_page(tmp_path / "r.html", story.bank, code=3)
    pages = read(page)
    assert pages["en"].banner == "◐ Verification incomplete"
    (row,) = pages["en"].questions[1].tables["Messages one by one"]
    assert row[-1].startswith("#2†")
    assert "The last 1 stand under no checkpoint yet." in pages["en"].questions[8].sentences[0]
    assert "末尾 1 条尚无检查点覆盖" in pages["zh"].questions[8].sentences[0]


def test_long_lists_are_capped_and_say_so(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.tell(decided("job-1"), *(sent("job-1", f"m-{number}", 10) for number in range(ROWS + 50)))
    story.close()
    page = made_page(tmp_path / "r.html", story.bank)
    pages = read(page)
    assert len(pages["en"].questions[1].tables["Messages one by one"]) == ROWS
    assert pages["en"].questions[1].sentences[0].startswith(f"{ROWS + 50} messages of 2.50 kB (2,500 bytes)")
    assert f"Shown: the first {ROWS} of {ROWS + 50}" in page
    assert f"仅列前 {ROWS} 项，共 {ROWS + 50} 项" in page
    assert "creditmesh-audit export csv" in page


def test_each_of_many_logs_has_its_share_of_rows(tmp_path: Path) -> None:
    paths = []
    for number in range(10):
        store = named_store(tmp_path / f"n{number}", f"bank-{number}", HandClock())
        store.append([decided("job-1"), *(sent("job-1", f"m-{each}", 10) for each in range(40))])
        store.close()
        paths.append(tmp_path / f"n{number}")
    rows = read(made_page(tmp_path / "r.html", *paths))["en"].questions[1].tables["Messages one by one"]
    assert {row[0] for row in rows} == {f"bank-{number}" for number in range(10)}
    assert len(rows) == 10 * FEWEST_ROWS


def test_an_alarm_of_the_coordinator_is_shown_as_its_own(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.answer(alarm("mismatch", "critical", "bank-b lies"))
    story.close()
    pages = read(made_page(tmp_path / "r.html", story.bank, "--coordinator", story.coordinator))
    (row,) = pages["en"].questions[22].tables["Alarms of high and critical severity"]
    assert row[0] == "coordinator"


def test_an_export_is_as_good_as_the_folder(exchange: Exchange, tmp_path: Path) -> None:
    export = tmp_path / "log.jsonl"
    assert main(["export", "jsonl", str(exchange.node), "--out", str(export)]) == 0
    first = read(made_page(tmp_path / "a.html", exchange.node))["en"].questions
    second = read(made_page(tmp_path / "b.html", export))["en"].questions
    # A folder holds two things more than an export: stored hashes and the high-water mark, both of question 8.
    for number in set(range(1, 23)) - {8, 9}:
        assert (first[number].sentences, first[number].tables) == (second[number].sentences, second[number].tables)


def test_one_language_is_a_whole_page(exchange: Exchange, tmp_path: Path) -> None:
    chinese = made_page(tmp_path / "zh.html", exchange.node, "--lang", "zh")
    assert '<html lang="zh-CN">' in chinese and "<input" not in chinese
    assert 'lang="en"' not in chinese.split("</style>")[1]
    assert len(ReadPage(chinese, "zh").questions) == 22
    english = made_page(tmp_path / "en.html", exchange.node, "--lang", "en").split("</style>")[1]
    assert 'lang="zh"' not in english and not any("\u4e00" <= letter <= "\u9fff" for letter in english)


def test_json_has_all_answers(exchange: Exchange, tmp_path: Path, capsys: Lines) -> None:
    assert main(["report", str(exchange.node), "--out", str(tmp_path / "r.html"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [answer["number"] for answer in document["answers"]] == list(range(1, 23))
    assert document["answers"][0]["sentences"][0]["zh"].startswith("银行共外发报文 6 份")
    assert document["exit_code"] == 0


@pytest.mark.parametrize("arguments", [[], ["{node}", "{node}"], ["{node}", "--vkey", "x", "--coordinator", "{peer}"]])
def test_wrong_use_is_one_line(exchange: Exchange, tmp_path: Path, capsys: Lines, arguments: list[str]) -> None:
    names = [each.format(node=exchange.node, peer=exchange.coordinator) for each in arguments]
    assert main(["report", *names, "--out", str(tmp_path / "r.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


def test_a_page_is_never_overwritten(exchange: Exchange, tmp_path: Path, capsys: Lines) -> None:
    (tmp_path / "r.html").write_text("mine")
    assert main(["report", str(exchange.node), "--out", str(tmp_path / "r.html")]) == 2
    assert (tmp_path / "r.html").read_text() == "mine"
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture
def banks(tmp_path: Path) -> Callable[[list[Bank]], list[Path]]:
    """Write banks' logs and the lists beside them."""

    def write(told: list[Bank]) -> list[Path]:
        for bank in told:
            store = named_store(tmp_path / bank.name, bank.name, HandClock())
            store.append(bank.entries)
            store.close()
            (tmp_path / bank.name / "rounds").mkdir()
            lines = b"".join(line + b"\n" for _, line in bank.lines())
            (tmp_path / bank.name / "rounds" / "job-1.jsonl").write_bytes(lines)
        return [tmp_path / bank.name for bank in told]

    return write


def test_rules_about_masks_hold_over_all_banks(banks: Callable[[list[Bank]], list[Path]], tmp_path: Path) -> None:
    pages = read(made_page(tmp_path / "r.html", *banks(honest())))
    question = pages["en"].questions[10]
    assert question.status == "clear"
    assert "Over 4 bank logs, no member's self-seed shares reach the threshold" in question.sentences[1]
    assert {row[1] for row in question.tables["Rules about masks, over the banks' logs"]} == {"passed"}
    assert pages["en"].questions[11].sentences[0] == "3 banks, over 2 opened sums; none below the job's floor."
    assert pages["zh"].questions[11].sentences[1] == "有机构中途退出、或自此不再参与的聚合 1 次（记录 3 条）。"


def test_a_bank_that_later_sums_go_without_is_named(banks: Callable[[list[Bank]], list[Path]], tmp_path: Path) -> None:
    told = honest()
    seats, roster = tuple(bank.name for bank in told), tuple(bank.name for bank in told[:3])
    for bank in told[:3]:
        for position in (1, 2):
            bank.opened(position, roster, epoch=2, roster=roster, shares=(), seeds=())
    peer = coordinator_store(tmp_path / "coordinator", HandClock())
    peer.append([decided("job-1", approvers=list(seats))])
    peer.close()
    folders = banks(told)
    page = made_page(tmp_path / "r.html", folders[0], "--coordinator", tmp_path / "coordinator")
    (first, second) = (
        read(page)["en"].questions[11].tables["Sums that a bank dropped out of, or is missing from for the first time"]
    )
    assert [first[3:8], second[3:8]] == [["2", "3", "1110", "bank-d", "3"], ["1", "3", "1110", "bank-d", "3"]]


def test_a_mask_that_could_come_off_is_named(banks: Callable[[list[Bank]], list[Path]], tmp_path: Path) -> None:
    told = honest()
    for bank in told[1:]:
        bank.give("consent", 3, ("bank-a",), ())
    told[0].give("reveal", 3, (), ("bank-a",))
    pages = read(made_page(tmp_path / "r.html", *banks(told), code=1))
    assert pages["en"].questions[10].status == pages["zh"].questions[10].status == "attention"
    (row,) = pages["en"].questions[10].tables["Where a rule about masks is broken"]
    assert row[2] == "3 shares of bank-a's self seed (t = 3) and 1 pair seeds left: its mask is off"
    (row,) = pages["zh"].questions[10].tables["违反掩码规则之处"]
    assert row[2] == "bank-a 的自掩码份额已给出 3 份（门限 3），成对种子 1 个：其掩码可被解除"


def test_a_part_without_a_mask_is_listed(banks: Callable[[list[Bank]], list[Path]], tmp_path: Path) -> None:
    told = honest()
    told[1].message("upload", 3, protection="none")
    pages = read(made_page(tmp_path / "r.html", *banks(told), code=1))
    assert pages["en"].questions[10].sentences[0].startswith("1 payload left without a mask")
    (row,) = pages["zh"].questions[10].tables["未加掩码即外发的报文"]
    assert row[:1] == ["bank-b"] and row[3:5] == ["secagg.upload", "none"]


def test_records_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.tell(decided("job-1"), sent("job-1", "m-1", 100))
    story.close()
    disarmed(story.bank / "log.db", "UPDATE event SET event = x'00' WHERE seq = 2")
    page = made_page(tmp_path / "r.html", story.bank, code=1)
    assert "1 record could not be read." in page and "有 1 条记录无法读取。" in page


@pytest.mark.parametrize(
    ("line", "chinese"),
    [
        ("7 checked", "已核 7 项"),
        ("bank-a: record 3: a part left without a mask", "bank-a: record 3：有分量未加掩码即外发"),
        (
            "bank-a: job j, epoch 1, position 2: the lists beside the log are missing, and 3 more",
            "bank-a: 作业 j、第 1 轮期、环节 2：日志附属清单缺失（另有 3 处）",
        ),
        (
            "4 witnesses cosigned all 9 records; the policy asks for 3 of 4 witnesses",
            "4 个见证方已对全部 9 条记录签名；策略要求 4 个中的 3 个",
        ),
        ("something new: that nobody foresaw", "something new: that nobody foresaw"),
    ],
)
def test_findings_are_rendered_by_their_form(line: str, chinese: str) -> None:
    assert detail_of(line) == Say(line, chinese)
