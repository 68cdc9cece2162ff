"""Opens every page in headless Chromium, wide and narrow, light and dark: arguments PAGES SHOTS.

A page fails if it is wider than the window, an image is missing, a formula is not set, or the console shows an error.
"""

import sys
from pathlib import Path

from selenium.webdriver.support.ui import WebDriverWait

pages, shots = Path(sys.argv[1]), Path(sys.argv[2])

LOOK = """
const done = arguments[arguments.length - 1];
document.querySelectorAll('details').forEach(of => of.open = true);
const ready = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
ready.then(() => done({
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    images: [...document.images].filter(of => of.complete && of.naturalWidth === 0).map(of => of.src),
    formulas: document.querySelectorAll('.math').length - document.querySelectorAll('.math mjx-container').length,
    wrong: document.querySelectorAll('mjx-merror').length,
}));
"""

driver = start_browser("--allow-file-access-from-files", **{"goog:loggingPrefs": {"browser": "ALL"}})
driver.set_script_timeout(120)
shots.mkdir(exist_ok=True)
problems, looks = [], 0
for width, height in ((1280, 900), (390, 844)):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for theme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        for page in sorted(pages.rglob("*.html")):
            name = page.relative_to(pages).as_posix()
            if name.startswith("_"):
                continue
            driver.get(page.as_uri())
            found = driver.execute_async_script(LOOK)
            looks += 1
            where = f"{name}, {width} wide, {theme}"
            if found["wide"] > 0:
                problems.append(f"{where}: {found['wide']} pixels wider than the window")
            problems += [f"{where}: {image} is missing" for image in found["images"]]
            if found["formulas"] > 0 or found["wrong"] > 0:
                problems.append(f"{where}: {found['formulas']} formulas are not set, {found['wrong']} are wrong")
            problems += [f"{where}: {entry['message']}" for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
            driver.save_screenshot(str(shots / f"{name.replace('/', '_')[:-5]}_{width}_{theme}.png"))
driver.get((pages / "search.html").as_uri() + "?q=attention")
WebDriverWait(driver, 60).until(lambda of: of.find_elements("css selector", "ul.search li a"))
driver.quit()
print("\n".join(problems) or f"{looks} looks at pages, and a search: no problem")
sys.exit(1 if problems else 0)
