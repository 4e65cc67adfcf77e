// What the sections share: elements by id, new ones, and where an error is told.

export const at = (id) => document.getElementById(id);

export function make(name, properties = {}, children = []) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// An SVG element; its attributes by name.
export function shape(name, attributes, children = []) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Runs what may fail, and tells why it did, until something succeeds.
export async function attempt(run) {
  const trouble = at("trouble");
  try {
    await run();
    trouble.hidden = true;
  } catch (error) {
    trouble.textContent = error.message;
    trouble.hidden = false;
  }
}
