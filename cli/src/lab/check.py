"""Works through a lesson in JupyterLab in headless Chromium: arguments JUPYTER NOTEBOOK SOLVED SHOTS.

NOTEBOOK is run as a whole; its first exercise is answered wrongly, then rightly; the kernel restarts and all runs again. What
it shows is kept in SHOTS.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

jupyter, notebook, solved, shots = (Path(argument) for argument in sys.argv[1:5])
LIMIT = 900  # seconds that a whole run may take

WIDGETS = "const panel = window.jupyterapp.shell.currentWidget; const cells = panel.content.widgets;"
STATE = """
const kernel = panel.sessionContext.session?.kernel;
const code = cells.filter(of => of.model.type === 'code');
const outputs = code.flatMap(of => of.model.outputs.toJSON());
return {
    idle: kernel?.status === 'idle',
    unanswered: code.filter(of => of.model.sharedModel.getSource().trim() && of.model.executionCount === null).length,
    errors: outputs.filter(of => of.output_type === 'error').map(of => of.ename + ': ' + of.evalue),
    images: outputs.filter(of => of.data && of.data['image/png']).length,
};
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start_lab(port, token):
    settings = {
        "ServerApp.root_dir": str(notebook.parent),
        "ServerApp.port": port,
        "ServerApp.ip": "127.0.0.1",
        "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": "True",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()] + ["--no-browser"]
    if os.geteuid() == 0:
        flags.append("--allow-root")
    quick = {**os.environ, "LLM_COURSE_QUICK": "1"}
    return subprocess.Popen([jupyter, "lab", *flags], env=quick, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait(what, ready, limit=120):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            found = ready()
        except Exception:  # the page is still loading
            found = None
        if found:
            return found
        time.sleep(0.5)
    fail(f"{what}: not after {limit} seconds")


def fail(problem):
    driver.save_screenshot(str(shots / "problem.png"))
    dialog = driver.execute_script("return document.querySelector('.jp-Dialog')?.innerText;")
    sys.exit(f"{problem}; what was seen is in {shots}; dialog: {dialog!r}; notebook: {ask(STATE)}")


def ask(script, *arguments):
    return driver.execute_script(WIDGETS + script, *arguments)


def whole_run(name, command, asks=False):
    """Runs `command`, says yes if it `asks`, waits until every cell has an answer, and checks the outputs."""
    begun = time.monotonic()
    ask("cells.forEach(of => of.model.type === 'code' && (of.model.executionCount = null));")
    ask("window.jupyterapp.commands.execute(arguments[0]);", command)
    if asks:
        yes = "const yes = document.querySelector('.jp-Dialog .jp-mod-accept'); yes?.click(); return !!yes;"
        wait("the question", lambda: driver.execute_script(yes))
        wait("the end of the question", lambda: not driver.execute_script(yes))
    state = wait(name, lambda: (now := ask(STATE)) and (now["errors"] or now["idle"] and not now["unanswered"]) and now, LIMIT)
    seconds = time.monotonic() - begun
    if state["errors"]:
        fail(f"{name}: {state['errors'][0]}")
    if state["images"] < expected_images:
        fail(f"{name}: {state['images']} pictures instead of {expected_images}")
    print(f"{name}: {state['images']} pictures, no error, {seconds:.0f} s")


def show(index, name):
    ask("panel.content.activeCellIndex = arguments[0]; panel.content.scrollToItem(arguments[0], 'center');", index)
    time.sleep(1)
    driver.save_screenshot(str(shots / f"{name}.png"))


def run_cell(index):
    """What the cell prints."""
    ask("panel.content.activeCellIndex = arguments[0]; cells[arguments[0]].model.executionCount = null;", index)
    ask("window.jupyterapp.commands.execute('notebook:run-cell');")
    answered = "return kernel_idle() && cells[arguments[0]].model.executionCount !== null;"
    idle = "const kernel_idle = () => panel.sessionContext.session?.kernel?.status === 'idle';"
    wait(f"cell {index}", lambda: ask(idle + answered, index))
    outputs = ask("return cells[arguments[0]].model.outputs.toJSON();", index)
    return json.dumps(outputs, ensure_ascii=False)


def answer(source, verdict, name):
    """Puts `source` into the exercise and runs it and its check, whose verdict must be `verdict`."""
    ask("cells[arguments[0]].model.sharedModel.setSource(arguments[1]);", exercise, source)
    printed = run_cell(exercise) + run_cell(exercise + 1)
    show(exercise + 1, name)
    if verdict not in printed:
        fail(f"{name}: no {verdict} in {printed}")
    print(f"{name}: {verdict}")


shots.mkdir(exist_ok=True)
cells = json.loads(notebook.read_text())["cells"]
expected_images = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
exercise = next(i for i, cell in enumerate(cells) if "exercise" in cell["metadata"].get("tags", []))
identity = cells[exercise]["id"]
right = next("".join(cell["source"]) for cell in json.loads(solved.read_text())["cells"] if cell["id"] == identity)
port, token = free_port(), secrets.token_hex(16)
lab, driver = start_lab(port, token), start_browser("--window-size=1400,1000")
try:
    address = f"http://127.0.0.1:{port}/lab/tree/{notebook.name}?token={token}"
    wait("JupyterLab", lambda: driver.get(address) or driver.execute_script("return !!window.jupyterapp"))
    wait("the kernel", lambda: ask(STATE)["idle"])
    whole_run("Run All Cells", "notebook:run-all-cells")
    show(next(i for i, cell in enumerate(cells) if any("image/png" in o.get("data", {}) for o in cell.get("outputs", []))), "picture")
    answer(right.replace(".tanh()", ""), "❌", "wrong answer")
    answer(right, "✅", "right answer")
    whole_run("Restart Kernel and Run All Cells", "notebook:restart-run-all", asks=True)
    show(exercise + 1, "after the restart")
finally:
    driver.quit()
    lab.terminate()
    lab.wait(timeout=30)
