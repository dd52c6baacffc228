"use strict";
// What both pages begin with.
const $ = (id) => document.getElementById(id);
const el = (name, kind, text) => {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
};
