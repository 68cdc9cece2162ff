"""Headless Chromium for the scripts that are appended to this one."""

import shutil
import sys

browser = shutil.which("chromium") or shutil.which("google-chrome")
driver_path = shutil.which("chromedriver")
if not browser or not driver_path:
    sys.exit("headless Chromium is missing: install chromium and its driver (Debian: apt install chromium chromium-driver)")

from selenium import webdriver


def start_browser(*flags, **capabilities):
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *flags):
        options.add_argument(flag)
    for name, value in capabilities.items():
        options.set_capability(name, value)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))


