"""What verification, comparison and recomputation found, rendered in Chinese by the form of their English lines.

A line whose form is not known here is shown as it stands, in both languages: an untranslated truth is better than none.
"""

import re

from audit.report_say import Say

__all__ = ["detail_of"]

_DETAILS = (
    (r"(\d+) checked", r"已核 \1 项"),
    (r"(\d+) checked, (\d+) of unknown keys ignored", r"已核 \1 项，忽略未知密钥 \2 项"),
    (r"the logs hold nothing of this kind", "日志中没有此类内容"),
    (r"(\d+) witnesses cosigned all (\d+) records; the policy asks for none", r"\1 个见证方已对全部 \2 条记录签名"),
    (r"the source holds no stored hashes", "来源不含存储哈希"),
    (r"the source holds no receipts", "来源不含回执"),
    (
        r"(\d+) receipts fit the log; no key to check their signatures with",
        r"\1 份回执与日志相符；未提供公钥，签名未验",
    ),
    (r"no head of this log is known from elsewhere", "未从他方获知本日志的树头"),
    (r"no policy was given that names the log's witnesses", "未提供载明见证方的策略"),
    (r"the source holds no cosignature of a known witness", "来源不含已知见证方的签名"),
    (
        r"the last (\d+) of (\d+) records stand under no checkpoint and prove nothing",
        r"末尾 \1 条（共 \2 条）没有检查点，不具证明力",
    ),
    (
        r"(\d+) witnesses cosigned all (\d+) records; the policy asks for (\d+) of (\d+) witnesses",
        r"\1 个见证方已对全部 \2 条记录签名；策略要求 \4 个中的 \3 个",
    ),
    (
        r"pending: the last (\d+) of (\d+) records are not cosigned by (\d+) of (\d+) witnesses",
        r"待见证：末尾 \1 条（共 \2 条）尚未获 \4 个见证方中 \3 个的签名",
    ),
    (
        r"checkpoint at (\d+) shows another root: a record up to there was changed",
        r"检查点 \1 的树根不符：此前有记录被改动",
    ),
    (
        r"the log once had (\d+) records and shows (\d+): records were taken away",
        r"日志曾有 \1 条记录，现仅 \2 条：有记录被移除",
    ),
    (r"a stored hash of record (\d+) is not the hash of the record", r"记录 \1 的存储哈希与记录不符"),
    (
        r"more hashes are stored than the records have: records were taken away",
        "存储哈希多于记录数：有记录被移除",
    ),
    (
        r"the wall clock went back before record (\d+); order is the sequence's",
        r"记录 \1 之前系统时钟回拨；先后以序号为准",
    ),
    (r"record (\d+) says it is number (\d+)", r"记录 \1 自称序号 \2"),
    (r"(.+) knows (\d+) records, the log shows (\d+)", r"\1 所知为 \2 条，日志仅有 \3 条"),
    (r"(.+) knows another history of the first (\d+) records", r"\1 所知前 \2 条记录的历史与此不同"),
    (r"a part left without a mask", "有分量未加掩码即外发"),
    (r"voted (\d+) times for different cohorts or bytes", r"就不同参与集合或内容表决 \1 次"),
    (r"gave a share of (.+)'s self seed and a pair seed of its", r"既给出 \1 的自掩码份额，又给出其成对种子"),
    (
        r"(\d+) shares of (.+)'s self seed \(t = (\d+)\) and (\d+) pair seeds left: its mask is off",
        r"\2 的自掩码份额已给出 \1 份（门限 \3），成对种子 \4 个：其掩码可被解除",
    ),
    (
        r"(\d+) shares of (.+)'s self seed and (\d+) pair seeds left, t is (\d+): banks were told of two cohorts",
        r"\2 的自掩码份额 \1 份、成对种子 \3 个（门限 \4）：各行被告知不同的参与集合",
    ),
    (r"(\d+) banks in the sum, at least (\d+) were asked for", r"聚合仅含 \1 家机构，约定至少 \2 家"),
    (r"the record does not say what was given", "记录未说明给出了哪些份额"),
    (r"the log holds no decision with a smallest cohort", "日志中没有约定最小机构数的决定"),
    (r"the lists beside the log are missing", "日志附属清单缺失"),
    (r"the lists beside the log are not those that the record names", "日志附属清单与记录所指不符"),
    (r"the lists name other shares or seeds than the messages that left", "清单所列份额或种子与外发报文不符"),
    (r"a list stands beside the log without a record of it", "有附属清单而无对应记录"),
    (r"the log records this sum twice", "日志对同一聚合登记两次"),
    (r"the logs of (.+) show (\d+) values of (\w+)", r"\1 的日志中 \3 出现 \2 个不同取值"),
    (
        r"its log was not given: what it gave in (\d+) positions is unknown",
        r"未提供其日志：其在 \1 个环节给出的内容不明",
    ),
    (r"release (\d+) comes after release (\d+)", r"第 \1 次发布出现在第 \2 次之后"),
    (r"(\d+) releases before release (\d+) have no record", r"第 \2 次发布之前有 \1 次发布缺失记录"),
    (r"(eps_\w+) is written as (\S+), the records make (\S+)", r"\1 登记为 \2，依据记录复算为 \3"),
    (r"epsilon (\S+) is above the cap of (\S+)", r"ε 为 \1，超过上限 \2"),
)

_MORE = re.compile(r"(.*), and (\d+) more")
_PLACE = re.compile(r"job (\S+), epoch (\d+), position (\d+)")


def detail_of(text: str) -> Say:
    """Return a line in both languages; `WHERE: LINE, and N more` is rendered part by part."""
    chinese = _rendered(text)
    if chinese is not None:
        return Say(text, chinese)
    found = _MORE.fullmatch(text)
    whole, more = (found[1], f"（另有 {found[2]} 处）") if found else (text, "")
    parts = whole.split(": ")
    for cut in range(1, len(parts)):
        chinese = _rendered(": ".join(parts[cut:]))
        if chinese is not None:
            where = _PLACE.sub(r"作业 \1、第 \2 轮期、环节 \3", ": ".join(parts[:cut]))
            return Say(text, f"{where}：{chinese}{more}")
    return Say(text, text)


def _rendered(text: str) -> str | None:
    for pattern, chinese in _DETAILS:
        found = re.fullmatch(pattern, text)
        if found:
            return found.expand(chinese)
    return None
