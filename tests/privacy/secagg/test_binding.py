"""What binds a round: each digest moves with every one of its parts, and none equals another's."""

from privacy.secagg import binding as bind

D = [bytes([value]) * 32 for value in range(8)]


def test_every_part_moves_its_digest() -> None:
    roots = [bind.agreement_root(D[0], 1, D[1], [b"a", b"b"]), bind.agreement_root(D[2], 1, D[1], [b"a", b"b"]),
             bind.agreement_root(D[0], 2, D[1], [b"a", b"b"]), bind.agreement_root(D[0], 1, D[2], [b"a", b"b"]),
             bind.agreement_root(D[0], 1, D[1], [b"b", b"a"]), bind.agreement_root(D[0], 1, D[1], [b"ab"])]  # fmt: skip
    bounds = [bind.binding(D[0], 1, 1, D[1], D[2]), bind.binding(D[3], 1, 1, D[1], D[2]),
              bind.binding(D[0], 2, 1, D[1], D[2]), bind.binding(D[0], 1, 2, D[1], D[2]),
              bind.binding(D[0], 1, 1, D[3], D[2]), bind.binding(D[0], 1, 1, D[1], D[3])]  # fmt: skip
    cohorts = [bind.cohort_digest(D[0], ["a", "b"], D[1]), bind.cohort_digest(D[0], ["ab"], D[1]),
               bind.cohort_digest(D[2], ["a", "b"], D[1]), bind.cohort_digest(D[0], ["a", "b"], D[2]),
               bind.cohort_digest(D[0], ["a"], D[1])]  # fmt: skip
    ends = [bind.next_transcript(D[0], D[1], D[2], D[3]), bind.next_transcript(D[4], D[1], D[2], D[3]),
            bind.next_transcript(D[0], D[4], D[2], D[3]), bind.next_transcript(D[0], D[1], D[4], D[3]),
            bind.next_transcript(D[0], D[1], D[2], D[4])]  # fmt: skip
    rest = [bind.ask_digest(D[0]), bind.headers_digest([D[0]]), bind.transcript_start(D[0])]
    everything = [*roots, *bounds, *cohorts, *ends, *rest]
    assert len(set(everything)) == len(everything) and {len(each) for each in everything} == {32}
