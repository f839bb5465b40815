# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Changes the code in small ways, one at a time, and runs the tests on each.

A change that no test notices is a survivor. mutmut makes the changes, in the
copy mutants/, and measures which tests run a function; a change in
pauc_mm/PACKAGE is tried with those of them that lie in tests/test_PACKAGE, the
fast ones first. What is known stays in mutants/: the command goes on where it
was stopped, and tries a function again once it is edited. --again tries the
survivors too.

Survivors are printed as entries of tests/mutation/equivalent.txt. The entries
there behave as the original and are not counted.
"""

import argparse
import os
import random
import re
import shutil
from collections import Counter, defaultdict
from functools import cache
from math import ceil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENT = Path('tests/mutation/equivalent.txt')
MODULES = (
    *('models/losses', 'clustering', 'models/prototypes', 'models/heads'),
    *('evaluation/functional', 'models', 'embedding', 'engine/hooks'),
)
SURVIVED = ('survived', 'no tests')
os.chdir(ROOT)  # mutmut reads pyproject.toml when it is imported
# One thread, without which neither torch nor faiss can be forked.
os.environ.update(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')

import libcst as cst  # noqa: E402
import libcst.matchers as m  # noqa: E402
import mutmut.__main__ as mutmut  # noqa: E402
from mutmut.mutation import file_mutation  # noqa: E402
from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: E402
from mutmut.mutation.trampoline import set_mutant_under_test  # noqa: E402
from mutmut.state import state  # noqa: E402
from mutmut.utils.format_utils import (  # noqa: E402
    mangled_name_from_mutant_name,
)
from rich.progress import Progress  # noqa: E402

LOGS = m.MatchIfTrue(lambda name: name in ('warn', 'warning', 'info'))
PRINTS = m.Name('print_log') | m.Attribute(attr=m.Name(LOGS))
MESSAGE = m.SimpleString() | m.FormattedString() | m.Raise() | m.Call(PRINTS)


def decorated_functions_too():
    """Let mutmut change decorated functions, and leave messages alone."""
    skip = file_mutation.MutationVisitor._skip_node_and_children
    arrange = file_mutation.function_trampoline_arrangement

    def skip_node_and_children(self, node):
        if m.matches(node, MESSAGE):
            return True
        if isinstance(node, cst.FunctionDef):
            return False
        return skip(self, node)

    def arrange_without_decorators(function, mutants, class_name):
        bare = function.with_changes(decorators=())
        before, methods, after, names = arrange(bare, mutants, class_name)
        own = (*function.decorators, *methods[0].decorators)
        methods = [methods[0].with_changes(decorators=own), *methods[1:]]
        return before, methods, after, names

    file_mutation.MutationVisitor._skip_node_and_children = (
        skip_node_and_children
    )
    file_mutation.function_trampoline_arrangement = arrange_without_decorators


def try_mutants(mutants, runner):
    """Run the tests of each mutant and save how they end."""
    data_by_name = {name: data for data, name, _ in mutants}
    with Progress() as progress:
        task = progress.add_task('mutants', total=len(mutants))

        def wait():
            result = runner.wait_for_result()
            data = data_by_name[result.mutant_name]
            data.exit_code_by_key[result.mutant_name] = result.exit_code
            data.save()
            progress.advance(task)

        runner.startup()
        try:
            for name in sorted(data_by_name, key=seconds):
                while not runner.has_capacity():
                    wait()
                limit = ceil(2 * seconds(name) + 10)
                runner.submit(name, tests_of(name), 2 * limit, limit)
            while runner.pending_count():
                wait()
        except KeyboardInterrupt:
            print('Stopped: the same command goes on.')
        finally:
            runner.stop_all_workers()


def tests_of(name):
    """Tests that run the function of a mutant, if any those of its package."""
    tests = state().tests_by_mangled_function_name
    found = list(tests.get(mangled_name_from_mutant_name(name), ()))
    folder = f'tests/test_{name.split(".")[1]}/'
    nearest = [test for test in found if test.startswith(folder)]
    return nearest or found


def seconds(name):
    """How long these tests take on the code as it is."""
    return sum(state().duration_by_test[test] for test in tests_of(name))


def entry(data, name):
    """Where and what a mutant changes: 'file:line', '- before', '+ after'."""
    diff = get_diff_for_mutant(name, path=data.path).splitlines()[3:]
    hunk = ''.join(f'{line[1:]}\n' for line in diff if line[0] != '+')
    source = re.sub('^ +', '', Path(data.path).read_text(), flags=re.M)
    position = source.find(re.sub('^ +', '', hunk, flags=re.M))
    line = source.count('\n', 0, position) + 1
    line += next(i for i, text in enumerate(diff) if text[0] in '+-')
    changes = [f'{d[0]} {d[1:].strip()}' for d in diff if d[0] in '+-']
    return [f'{data.path}:{line}', *changes]


def without_line(entry):
    """Return the entry as it is recognised after edits elsewhere."""
    return (entry[0].partition(':')[0], *entry[1:])


@cache
def known_equivalents():
    """Return the entries of the list."""
    entries = re.sub('^#.*\n', '', EQUIVALENT.read_text(), flags=re.M)
    parts = re.split('\n\n+', entries.strip())
    return {without_line(part.splitlines()) for part in parts if part}


def is_equivalent(entry):
    """Whether it is listed, or only the device changes, here the CPU."""
    device = r'(, )?\b(device|non_blocking)=[\w.]+|[\w.]*\bdevice\b|\bNone\b'
    texts = [re.sub(device, '', line[2:]) for line in entry[1:]]
    if len({re.sub(r'(?<=\(), |, (?=\))', '', t) for t in texts}) == 1:
        return True
    return without_line(entry) in known_equivalents()


def report(mutants):
    """Print the survivors, then how many there are of each kind."""
    counts = defaultdict(Counter)
    for data, name, _ in mutants:
        verdict = mutmut.status_by_exit_code[data.exit_code_by_key[name]]
        if verdict in SURVIVED:
            found = entry(data, name)
            if is_equivalent(found):
                verdict = 'equivalent'
            else:
                print('\n'.join([f'# {verdict}', *found]), end='\n\n')
        counts[str(data.path)][verdict] += 1
    counts['all'] = sum(counts.values(), Counter())
    for path, by_verdict in counts.items():
        kinds = (f'{n} {kind}' for kind, n in by_verdict.most_common())
        print(f'{path}: {by_verdict.total()} mutants, {", ".join(kinds)}')


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'module', nargs='*', default=MODULES, help='path below pauc_mm'
    )
    parser.add_argument('--sample', type=int, help='try that many, at random')
    parser.add_argument('--seed', type=int, default=0, help='of the sample')
    parser.add_argument('--jobs', type=int, default=1, help='processes')
    parser.add_argument(
        '--again', action='store_true', help='try the survivors too'
    )
    args = parser.parse_args()

    decorated_functions_too()
    Path('mutants').mkdir(exist_ok=True)
    shutil.rmtree('mutants/tests', ignore_errors=True)  # some may be gone
    with mutmut.CatchOutput(spinner_title='Making the changes'):
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.setup_source_paths()
        mutmut.create_mutants(args.jobs)
    patterns = [
        f'pauc_mm.{module.strip("/").replace("/", ".")}.*'
        for module in args.module
    ]
    runner = mutmut.get_mutant_runner(args.jobs)
    mutmut.collect_or_load_stats(runner, apply_config_invalidation=True)
    set_mutant_under_test('')
    mutants, _ = mutmut.collect_source_file_mutation_data(
        mutant_names=patterns
    )
    if args.sample:
        mutants = random.Random(args.seed).sample(mutants, args.sample)
    untried = [
        (data, name, code)
        for data, name, code in mutants
        if code is None
        or args.again
        and mutmut.status_by_exit_code[code] in SURVIVED
        and not is_equivalent(entry(data, name))
    ]
    try_mutants(untried, runner)
    report(mutants)


if __name__ == '__main__':
    main()
