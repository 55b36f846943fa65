"""Conformance cases for Layer-wise Relevance Propagation, and the judge of answers to them; standard library only.

    cases = load()                              the table: data/, reader.py
    asked = questions(cases)                    what a library is asked: relations.py
    answers = read_answers("answers.json", cases)
    results = judge_answers(answers, cases)     a verdict on each case: verdicts.py, comparison.py
    known = read_known("known.json", ids)       what the library is known to answer otherwise: known.py
    scores(verdicts, load_profiles())           its score by profile, and a badge: scoring.py

On the command line: `lrp-cases ask`, `lrp-cases judge answers.json`. lrpref includes this package;
its distribution, lrp-cases, holds it alone, for Python 3.8 and later.
"""

from __future__ import annotations

from .comparison import Comparison, Pair, compare, near
from .errors import CasesError, NotOffered, UnknownNameError
from .known import Known, Settled, draft, exit_code, read_known, settle
from .reader import DATA, FORMAT, check_case, load, load_index, load_profiles, numbers
from .relations import pairs, question, questions
from .report import settled_lines
from .scoring import Score, badge, profile_data, score_lines, score_rows, scores
from .verdicts import VERDICTS, Answers, Result, case_pairs, count, judge, judge_answers, read_answers

__all__ = [
    "DATA",
    "FORMAT",
    "VERDICTS",
    "Answers",
    "CasesError",
    "Comparison",
    "Known",
    "NotOffered",
    "Pair",
    "Result",
    "Score",
    "Settled",
    "UnknownNameError",
    "badge",
    "case_pairs",
    "check_case",
    "compare",
    "count",
    "draft",
    "exit_code",
    "judge",
    "judge_answers",
    "load",
    "load_index",
    "load_profiles",
    "near",
    "numbers",
    "pairs",
    "profile_data",
    "question",
    "questions",
    "read_answers",
    "read_known",
    "score_lines",
    "score_rows",
    "scores",
    "settle",
    "settled_lines",
]
