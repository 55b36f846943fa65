"""Verify any implementation of LRP: check the laws of relevance on a function, or on a program in any language.

    verify(f, like="z-plus")          which laws hold for f(network, x, seed), with the smallest counter-examples
    Program("julia my.jl")            a program that answers one question per line: answering.py
    write_cases(found, folder)        the counter-examples, as cases that `lrpref.conformance` reads

The network is plain data in the format of the conformance cases (question.py), so that neither a function nor a program
needs lrpref. On the command line: `lrpref verify`.
"""

from .answering import Function, Program, ProgramError, function_named
from .counterexamples import Asked, by_matrices, write_cases
from .question import Question
from .verifying import Outcome, Verification, verify

__all__ = [
    "Asked",
    "Function",
    "Outcome",
    "Program",
    "ProgramError",
    "Question",
    "Verification",
    "by_matrices",
    "function_named",
    "verify",
    "write_cases",
]
