# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads a page that we wrote: balanced tags, no network, its words.

page = check(path)  # AssertionError if it would load anything
assert "chair_0" in page.words and page.tags.count("img") == 3
"""

import html.parser
import re

VOID = {"meta", "img", "input", "br"}


class Checker(html.parser.HTMLParser):
  """Fails on an unbalanced tag; keeps the text and what is loaded."""

  def __init__(self, page: str):
    super().__init__()
    self.open, self.text, self.loads, self.tags = [], [], [], []
    self.feed(page)
    assert not self.open, self.open
    self.words = re.sub(r"\s+", " ", " ".join(self.text))

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.loads += [v for k, v in attrs if k in ("src", "href", "srcset")]
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if not {"script", "style"} & set(self.open):
      self.text.append(data)


def check(path) -> Checker:
  """Reads a page that must ask the network for nothing."""
  page = path.read_text()
  checker = Checker(page)
  assert all(load.startswith(("data:", "#")) for load in checker.loads)
  assert not re.search(r"https?:|url\((?!#)|@import|fetch\(", page)
  return checker
