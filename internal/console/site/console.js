// site/vendor/htm@3.1.1/standalone.module.js
var e;
var n;
var _;
var t;
var o;
var r;
var u;
var l = {};
var i = [];
var c = /acit|ex(?:s|g|n|p|$)|rph|grid|ows|mnc|ntw|ine[ch]|zoo|^ord|itera/i;
function s(e2, n2) {
  for (var _2 in n2) e2[_2] = n2[_2];
  return e2;
}
function f(e2) {
  var n2 = e2.parentNode;
  n2 && n2.removeChild(e2);
}
function a(n2, _2, t2) {
  var o2, r2, u2, l2 = {};
  for (u2 in _2) "key" == u2 ? o2 = _2[u2] : "ref" == u2 ? r2 = _2[u2] : l2[u2] = _2[u2];
  if (arguments.length > 2 && (l2.children = arguments.length > 3 ? e.call(arguments, 2) : t2), "function" == typeof n2 && null != n2.defaultProps) for (u2 in n2.defaultProps) void 0 === l2[u2] && (l2[u2] = n2.defaultProps[u2]);
  return p(n2, l2, o2, r2, null);
}
function p(e2, t2, o2, r2, u2) {
  var l2 = { type: e2, props: t2, key: o2, ref: r2, __k: null, __: null, __b: 0, __e: null, __d: void 0, __c: null, __h: null, constructor: void 0, __v: null == u2 ? ++_ : u2 };
  return null != n.vnode && n.vnode(l2), l2;
}
function h(e2) {
  return e2.children;
}
function d(e2, n2) {
  this.props = e2, this.context = n2;
}
function v(e2, n2) {
  if (null == n2) return e2.__ ? v(e2.__, e2.__.__k.indexOf(e2) + 1) : null;
  for (var _2; n2 < e2.__k.length; n2++) if (null != (_2 = e2.__k[n2]) && null != _2.__e) return _2.__e;
  return "function" == typeof e2.type ? v(e2) : null;
}
function y(e2) {
  var n2, _2;
  if (null != (e2 = e2.__) && null != e2.__c) {
    for (e2.__e = e2.__c.base = null, n2 = 0; n2 < e2.__k.length; n2++) if (null != (_2 = e2.__k[n2]) && null != _2.__e) {
      e2.__e = e2.__c.base = _2.__e;
      break;
    }
    return y(e2);
  }
}
function m(e2) {
  (!e2.__d && (e2.__d = true) && t.push(e2) && !g.__r++ || r !== n.debounceRendering) && ((r = n.debounceRendering) || o)(g);
}
function g() {
  for (var e2; g.__r = t.length; ) e2 = t.sort(function(e3, n2) {
    return e3.__v.__b - n2.__v.__b;
  }), t = [], e2.some(function(e3) {
    var n2, _2, t2, o2, r2, u2;
    e3.__d && (r2 = (o2 = (n2 = e3).__v).__e, (u2 = n2.__P) && (_2 = [], (t2 = s({}, o2)).__v = o2.__v + 1, P(u2, o2, t2, n2.__n, void 0 !== u2.ownerSVGElement, null != o2.__h ? [r2] : null, _2, null == r2 ? v(o2) : r2, o2.__h), D(_2, o2), o2.__e != r2 && y(o2)));
  });
}
function k(e2, n2, _2, t2, o2, r2, u2, c2, s2, f2) {
  var a2, d2, y2, m2, g2, k2, x2, H2 = t2 && t2.__k || i, E2 = H2.length;
  for (_2.__k = [], a2 = 0; a2 < n2.length; a2++) if (null != (m2 = _2.__k[a2] = null == (m2 = n2[a2]) || "boolean" == typeof m2 ? null : "string" == typeof m2 || "number" == typeof m2 || "bigint" == typeof m2 ? p(null, m2, null, null, m2) : Array.isArray(m2) ? p(h, { children: m2 }, null, null, null) : m2.__b > 0 ? p(m2.type, m2.props, m2.key, null, m2.__v) : m2)) {
    if (m2.__ = _2, m2.__b = _2.__b + 1, null === (y2 = H2[a2]) || y2 && m2.key == y2.key && m2.type === y2.type) H2[a2] = void 0;
    else for (d2 = 0; d2 < E2; d2++) {
      if ((y2 = H2[d2]) && m2.key == y2.key && m2.type === y2.type) {
        H2[d2] = void 0;
        break;
      }
      y2 = null;
    }
    P(e2, m2, y2 = y2 || l, o2, r2, u2, c2, s2, f2), g2 = m2.__e, (d2 = m2.ref) && y2.ref != d2 && (x2 || (x2 = []), y2.ref && x2.push(y2.ref, null, m2), x2.push(d2, m2.__c || g2, m2)), null != g2 ? (null == k2 && (k2 = g2), "function" == typeof m2.type && null != m2.__k && m2.__k === y2.__k ? m2.__d = s2 = b(m2, s2, e2) : s2 = C(e2, m2, y2, H2, g2, s2), f2 || "option" !== _2.type ? "function" == typeof _2.type && (_2.__d = s2) : e2.value = "") : s2 && y2.__e == s2 && s2.parentNode != e2 && (s2 = v(y2));
  }
  for (_2.__e = k2, a2 = E2; a2--; ) null != H2[a2] && ("function" == typeof _2.type && null != H2[a2].__e && H2[a2].__e == _2.__d && (_2.__d = v(t2, a2 + 1)), U(H2[a2], H2[a2]));
  if (x2) for (a2 = 0; a2 < x2.length; a2++) T(x2[a2], x2[++a2], x2[++a2]);
}
function b(e2, n2, _2) {
  var t2, o2;
  for (t2 = 0; t2 < e2.__k.length; t2++) (o2 = e2.__k[t2]) && (o2.__ = e2, n2 = "function" == typeof o2.type ? b(o2, n2, _2) : C(_2, o2, o2, e2.__k, o2.__e, n2));
  return n2;
}
function C(e2, n2, _2, t2, o2, r2) {
  var u2, l2, i2;
  if (void 0 !== n2.__d) u2 = n2.__d, n2.__d = void 0;
  else if (null == _2 || o2 != r2 || null == o2.parentNode) e: if (null == r2 || r2.parentNode !== e2) e2.appendChild(o2), u2 = null;
  else {
    for (l2 = r2, i2 = 0; (l2 = l2.nextSibling) && i2 < t2.length; i2 += 2) if (l2 == o2) break e;
    e2.insertBefore(o2, r2), u2 = r2;
  }
  return void 0 !== u2 ? u2 : o2.nextSibling;
}
function x(e2, n2, _2) {
  "-" === n2[0] ? e2.setProperty(n2, _2) : e2[n2] = null == _2 ? "" : "number" != typeof _2 || c.test(n2) ? _2 : _2 + "px";
}
function H(e2, n2, _2, t2, o2) {
  var r2;
  e: if ("style" === n2) if ("string" == typeof _2) e2.style.cssText = _2;
  else {
    if ("string" == typeof t2 && (e2.style.cssText = t2 = ""), t2) for (n2 in t2) _2 && n2 in _2 || x(e2.style, n2, "");
    if (_2) for (n2 in _2) t2 && _2[n2] === t2[n2] || x(e2.style, n2, _2[n2]);
  }
  else if ("o" === n2[0] && "n" === n2[1]) r2 = n2 !== (n2 = n2.replace(/Capture$/, "")), n2 = n2.toLowerCase() in e2 ? n2.toLowerCase().slice(2) : n2.slice(2), e2.l || (e2.l = {}), e2.l[n2 + r2] = _2, _2 ? t2 || e2.addEventListener(n2, r2 ? S : E, r2) : e2.removeEventListener(n2, r2 ? S : E, r2);
  else if ("dangerouslySetInnerHTML" !== n2) {
    if (o2) n2 = n2.replace(/xlink[H:h]/, "h").replace(/sName$/, "s");
    else if ("href" !== n2 && "list" !== n2 && "form" !== n2 && "tabIndex" !== n2 && "download" !== n2 && n2 in e2) try {
      e2[n2] = null == _2 ? "" : _2;
      break e;
    } catch (e3) {
    }
    "function" == typeof _2 || (null != _2 && (false !== _2 || "a" === n2[0] && "r" === n2[1]) ? e2.setAttribute(n2, _2) : e2.removeAttribute(n2));
  }
}
function E(e2) {
  this.l[e2.type + false](n.event ? n.event(e2) : e2);
}
function S(e2) {
  this.l[e2.type + true](n.event ? n.event(e2) : e2);
}
function P(e2, _2, t2, o2, r2, u2, l2, i2, c2) {
  var f2, a2, p2, v2, y2, m2, g2, b2, C2, x2, H2, E2 = _2.type;
  if (void 0 !== _2.constructor) return null;
  null != t2.__h && (c2 = t2.__h, i2 = _2.__e = t2.__e, _2.__h = null, u2 = [i2]), (f2 = n.__b) && f2(_2);
  try {
    e: if ("function" == typeof E2) {
      if (b2 = _2.props, C2 = (f2 = E2.contextType) && o2[f2.__c], x2 = f2 ? C2 ? C2.props.value : f2.__ : o2, t2.__c ? g2 = (a2 = _2.__c = t2.__c).__ = a2.__E : ("prototype" in E2 && E2.prototype.render ? _2.__c = a2 = new E2(b2, x2) : (_2.__c = a2 = new d(b2, x2), a2.constructor = E2, a2.render = A), C2 && C2.sub(a2), a2.props = b2, a2.state || (a2.state = {}), a2.context = x2, a2.__n = o2, p2 = a2.__d = true, a2.__h = []), null == a2.__s && (a2.__s = a2.state), null != E2.getDerivedStateFromProps && (a2.__s == a2.state && (a2.__s = s({}, a2.__s)), s(a2.__s, E2.getDerivedStateFromProps(b2, a2.__s))), v2 = a2.props, y2 = a2.state, p2) null == E2.getDerivedStateFromProps && null != a2.componentWillMount && a2.componentWillMount(), null != a2.componentDidMount && a2.__h.push(a2.componentDidMount);
      else {
        if (null == E2.getDerivedStateFromProps && b2 !== v2 && null != a2.componentWillReceiveProps && a2.componentWillReceiveProps(b2, x2), !a2.__e && null != a2.shouldComponentUpdate && false === a2.shouldComponentUpdate(b2, a2.__s, x2) || _2.__v === t2.__v) {
          a2.props = b2, a2.state = a2.__s, _2.__v !== t2.__v && (a2.__d = false), a2.__v = _2, _2.__e = t2.__e, _2.__k = t2.__k, _2.__k.forEach(function(e3) {
            e3 && (e3.__ = _2);
          }), a2.__h.length && l2.push(a2);
          break e;
        }
        null != a2.componentWillUpdate && a2.componentWillUpdate(b2, a2.__s, x2), null != a2.componentDidUpdate && a2.__h.push(function() {
          a2.componentDidUpdate(v2, y2, m2);
        });
      }
      a2.context = x2, a2.props = b2, a2.state = a2.__s, (f2 = n.__r) && f2(_2), a2.__d = false, a2.__v = _2, a2.__P = e2, f2 = a2.render(a2.props, a2.state, a2.context), a2.state = a2.__s, null != a2.getChildContext && (o2 = s(s({}, o2), a2.getChildContext())), p2 || null == a2.getSnapshotBeforeUpdate || (m2 = a2.getSnapshotBeforeUpdate(v2, y2)), H2 = null != f2 && f2.type === h && null == f2.key ? f2.props.children : f2, k(e2, Array.isArray(H2) ? H2 : [H2], _2, t2, o2, r2, u2, l2, i2, c2), a2.base = _2.__e, _2.__h = null, a2.__h.length && l2.push(a2), g2 && (a2.__E = a2.__ = null), a2.__e = false;
    } else null == u2 && _2.__v === t2.__v ? (_2.__k = t2.__k, _2.__e = t2.__e) : _2.__e = w(t2.__e, _2, t2, o2, r2, u2, l2, c2);
    (f2 = n.diffed) && f2(_2);
  } catch (e3) {
    _2.__v = null, (c2 || null != u2) && (_2.__e = i2, _2.__h = !!c2, u2[u2.indexOf(i2)] = null), n.__e(e3, _2, t2);
  }
}
function D(e2, _2) {
  n.__c && n.__c(_2, e2), e2.some(function(_3) {
    try {
      e2 = _3.__h, _3.__h = [], e2.some(function(e3) {
        e3.call(_3);
      });
    } catch (e3) {
      n.__e(e3, _3.__v);
    }
  });
}
function w(n2, _2, t2, o2, r2, u2, i2, c2) {
  var s2, a2, p2, h2 = t2.props, d2 = _2.props, y2 = _2.type, m2 = 0;
  if ("svg" === y2 && (r2 = true), null != u2) {
    for (; m2 < u2.length; m2++) if ((s2 = u2[m2]) && (s2 === n2 || (y2 ? s2.localName == y2 : 3 == s2.nodeType))) {
      n2 = s2, u2[m2] = null;
      break;
    }
  }
  if (null == n2) {
    if (null === y2) return document.createTextNode(d2);
    n2 = r2 ? document.createElementNS("http://www.w3.org/2000/svg", y2) : document.createElement(y2, d2.is && d2), u2 = null, c2 = false;
  }
  if (null === y2) h2 === d2 || c2 && n2.data === d2 || (n2.data = d2);
  else {
    if (u2 = u2 && e.call(n2.childNodes), a2 = (h2 = t2.props || l).dangerouslySetInnerHTML, p2 = d2.dangerouslySetInnerHTML, !c2) {
      if (null != u2) for (h2 = {}, m2 = 0; m2 < n2.attributes.length; m2++) h2[n2.attributes[m2].name] = n2.attributes[m2].value;
      (p2 || a2) && (p2 && (a2 && p2.__html == a2.__html || p2.__html === n2.innerHTML) || (n2.innerHTML = p2 && p2.__html || ""));
    }
    if ((function(e2, n3, _3, t3, o3) {
      var r3;
      for (r3 in _3) "children" === r3 || "key" === r3 || r3 in n3 || H(e2, r3, null, _3[r3], t3);
      for (r3 in n3) o3 && "function" != typeof n3[r3] || "children" === r3 || "key" === r3 || "value" === r3 || "checked" === r3 || _3[r3] === n3[r3] || H(e2, r3, n3[r3], _3[r3], t3);
    })(n2, d2, h2, r2, c2), p2) _2.__k = [];
    else if (m2 = _2.props.children, k(n2, Array.isArray(m2) ? m2 : [m2], _2, t2, o2, r2 && "foreignObject" !== y2, u2, i2, u2 ? u2[0] : t2.__k && v(t2, 0), c2), null != u2) for (m2 = u2.length; m2--; ) null != u2[m2] && f(u2[m2]);
    c2 || ("value" in d2 && void 0 !== (m2 = d2.value) && (m2 !== n2.value || "progress" === y2 && !m2) && H(n2, "value", m2, h2.value, false), "checked" in d2 && void 0 !== (m2 = d2.checked) && m2 !== n2.checked && H(n2, "checked", m2, h2.checked, false));
  }
  return n2;
}
function T(e2, _2, t2) {
  try {
    "function" == typeof e2 ? e2(_2) : e2.current = _2;
  } catch (e3) {
    n.__e(e3, t2);
  }
}
function U(e2, _2, t2) {
  var o2, r2;
  if (n.unmount && n.unmount(e2), (o2 = e2.ref) && (o2.current && o2.current !== e2.__e || T(o2, null, _2)), null != (o2 = e2.__c)) {
    if (o2.componentWillUnmount) try {
      o2.componentWillUnmount();
    } catch (e3) {
      n.__e(e3, _2);
    }
    o2.base = o2.__P = null;
  }
  if (o2 = e2.__k) for (r2 = 0; r2 < o2.length; r2++) o2[r2] && U(o2[r2], _2, "function" != typeof e2.type);
  t2 || null == e2.__e || f(e2.__e), e2.__e = e2.__d = void 0;
}
function A(e2, n2, _2) {
  return this.constructor(e2, _2);
}
function M(_2, t2, o2) {
  var r2, u2, i2;
  n.__ && n.__(_2, t2), u2 = (r2 = "function" == typeof o2) ? null : o2 && o2.__k || t2.__k, i2 = [], P(t2, _2 = (!r2 && o2 || t2).__k = a(h, null, [_2]), u2 || l, l, void 0 !== t2.ownerSVGElement, !r2 && o2 ? [o2] : u2 ? null : t2.firstChild ? e.call(t2.childNodes) : null, i2, !r2 && o2 ? o2 : u2 ? u2.__e : t2.firstChild, r2), D(i2, _2);
}
e = i.slice, n = { __e: function(e2, n2) {
  for (var _2, t2, o2; n2 = n2.__; ) if ((_2 = n2.__c) && !_2.__) try {
    if ((t2 = _2.constructor) && null != t2.getDerivedStateFromError && (_2.setState(t2.getDerivedStateFromError(e2)), o2 = _2.__d), null != _2.componentDidCatch && (_2.componentDidCatch(e2), o2 = _2.__d), o2) return _2.__E = _2;
  } catch (n3) {
    e2 = n3;
  }
  throw e2;
} }, _ = 0, d.prototype.setState = function(e2, n2) {
  var _2;
  _2 = null != this.__s && this.__s !== this.state ? this.__s : this.__s = s({}, this.state), "function" == typeof e2 && (e2 = e2(s({}, _2), this.props)), e2 && s(_2, e2), null != e2 && this.__v && (n2 && this.__h.push(n2), m(this));
}, d.prototype.forceUpdate = function(e2) {
  this.__v && (this.__e = true, e2 && this.__h.push(e2), m(this));
}, d.prototype.render = h, t = [], o = "function" == typeof Promise ? Promise.prototype.then.bind(Promise.resolve()) : setTimeout, g.__r = 0, u = 0;
var L;
var N;
var W;
var R = 0;
var I = [];
var O = n.__b;
var V = n.__r;
var q = n.diffed;
var B = n.__c;
var $ = n.unmount;
function j(e2, _2) {
  n.__h && n.__h(N, e2, R || _2), R = 0;
  var t2 = N.__H || (N.__H = { __: [], __h: [] });
  return e2 >= t2.__.length && t2.__.push({}), t2.__[e2];
}
function G(e2) {
  return R = 1, z(ie, e2);
}
function z(e2, n2, _2) {
  var t2 = j(L++, 2);
  return t2.t = e2, t2.__c || (t2.__ = [_2 ? _2(n2) : ie(void 0, n2), function(e3) {
    var n3 = t2.t(t2.__[0], e3);
    t2.__[0] !== n3 && (t2.__ = [n3, t2.__[1]], t2.__c.setState({}));
  }], t2.__c = N), t2.__;
}
function J(e2, _2) {
  var t2 = j(L++, 3);
  !n.__s && le(t2.__H, _2) && (t2.__ = e2, t2.__H = _2, N.__H.__h.push(t2));
}
function K(e2, _2) {
  var t2 = j(L++, 4);
  !n.__s && le(t2.__H, _2) && (t2.__ = e2, t2.__H = _2, N.__h.push(t2));
}
function Q(e2) {
  return R = 5, Y(function() {
    return { current: e2 };
  }, []);
}
function Y(e2, n2) {
  var _2 = j(L++, 7);
  return le(_2.__H, n2) && (_2.__ = e2(), _2.__H = n2, _2.__h = e2), _2.__;
}
function Z(e2, n2) {
  return R = 8, Y(function() {
    return e2;
  }, n2);
}
function _e(e2) {
  var n2 = j(L++, 10), _2 = G();
  return n2.__ = e2, N.componentDidCatch || (N.componentDidCatch = function(e3) {
    n2.__ && n2.__(e3), _2[1](e3);
  }), [_2[0], function() {
    _2[1](void 0);
  }];
}
function te() {
  I.forEach(function(e2) {
    if (e2.__P) try {
      e2.__H.__h.forEach(re), e2.__H.__h.forEach(ue), e2.__H.__h = [];
    } catch (_2) {
      e2.__H.__h = [], n.__e(_2, e2.__v);
    }
  }), I = [];
}
n.__b = function(e2) {
  N = null, O && O(e2);
}, n.__r = function(e2) {
  V && V(e2), L = 0;
  var n2 = (N = e2.__c).__H;
  n2 && (n2.__h.forEach(re), n2.__h.forEach(ue), n2.__h = []);
}, n.diffed = function(e2) {
  q && q(e2);
  var _2 = e2.__c;
  _2 && _2.__H && _2.__H.__h.length && (1 !== I.push(_2) && W === n.requestAnimationFrame || ((W = n.requestAnimationFrame) || function(e3) {
    var n2, _3 = function() {
      clearTimeout(t2), oe && cancelAnimationFrame(n2), setTimeout(e3);
    }, t2 = setTimeout(_3, 100);
    oe && (n2 = requestAnimationFrame(_3));
  })(te)), N = void 0;
}, n.__c = function(e2, _2) {
  _2.some(function(e3) {
    try {
      e3.__h.forEach(re), e3.__h = e3.__h.filter(function(e4) {
        return !e4.__ || ue(e4);
      });
    } catch (t2) {
      _2.some(function(e4) {
        e4.__h && (e4.__h = []);
      }), _2 = [], n.__e(t2, e3.__v);
    }
  }), B && B(e2, _2);
}, n.unmount = function(e2) {
  $ && $(e2);
  var _2 = e2.__c;
  if (_2 && _2.__H) try {
    _2.__H.__.forEach(re);
  } catch (e3) {
    n.__e(e3, _2.__v);
  }
};
var oe = "function" == typeof requestAnimationFrame;
function re(e2) {
  var n2 = N;
  "function" == typeof e2.__c && e2.__c(), N = n2;
}
function ue(e2) {
  var n2 = N;
  e2.__c = e2.__(), N = n2;
}
function le(e2, n2) {
  return !e2 || e2.length !== n2.length || n2.some(function(n3, _2) {
    return n3 !== e2[_2];
  });
}
function ie(e2, n2) {
  return "function" == typeof n2 ? n2(e2) : n2;
}
var ce = function(e2, n2, _2, t2) {
  var o2;
  n2[0] = 0;
  for (var r2 = 1; r2 < n2.length; r2++) {
    var u2 = n2[r2++], l2 = n2[r2] ? (n2[0] |= u2 ? 1 : 2, _2[n2[r2++]]) : n2[++r2];
    3 === u2 ? t2[0] = l2 : 4 === u2 ? t2[1] = Object.assign(t2[1] || {}, l2) : 5 === u2 ? (t2[1] = t2[1] || {})[n2[++r2]] = l2 : 6 === u2 ? t2[1][n2[++r2]] += l2 + "" : u2 ? (o2 = e2.apply(l2, ce(e2, l2, _2, ["", null])), t2.push(o2), l2[0] ? n2[0] |= 2 : (n2[r2 - 2] = 0, n2[r2] = o2)) : t2.push(l2);
  }
  return t2;
};
var se = /* @__PURE__ */ new Map();
var fe = function(e2) {
  var n2 = se.get(this);
  return n2 || (n2 = /* @__PURE__ */ new Map(), se.set(this, n2)), (n2 = ce(this, n2.get(e2) || (n2.set(e2, n2 = (function(e3) {
    for (var n3, _2, t2 = 1, o2 = "", r2 = "", u2 = [0], l2 = function(e4) {
      1 === t2 && (e4 || (o2 = o2.replace(/^\s*\n\s*|\s*\n\s*$/g, ""))) ? u2.push(0, e4, o2) : 3 === t2 && (e4 || o2) ? (u2.push(3, e4, o2), t2 = 2) : 2 === t2 && "..." === o2 && e4 ? u2.push(4, e4, 0) : 2 === t2 && o2 && !e4 ? u2.push(5, 0, true, o2) : t2 >= 5 && ((o2 || !e4 && 5 === t2) && (u2.push(t2, 0, o2, _2), t2 = 6), e4 && (u2.push(t2, e4, 0, _2), t2 = 6)), o2 = "";
    }, i2 = 0; i2 < e3.length; i2++) {
      i2 && (1 === t2 && l2(), l2(i2));
      for (var c2 = 0; c2 < e3[i2].length; c2++) n3 = e3[i2][c2], 1 === t2 ? "<" === n3 ? (l2(), u2 = [u2], t2 = 3) : o2 += n3 : 4 === t2 ? "--" === o2 && ">" === n3 ? (t2 = 1, o2 = "") : o2 = n3 + o2[0] : r2 ? n3 === r2 ? r2 = "" : o2 += n3 : '"' === n3 || "'" === n3 ? r2 = n3 : ">" === n3 ? (l2(), t2 = 1) : t2 && ("=" === n3 ? (t2 = 5, _2 = o2, o2 = "") : "/" === n3 && (t2 < 5 || ">" === e3[i2][c2 + 1]) ? (l2(), 3 === t2 && (u2 = u2[0]), t2 = u2, (u2 = u2[0]).push(2, 0, t2), t2 = 0) : " " === n3 || "	" === n3 || "\n" === n3 || "\r" === n3 ? (l2(), t2 = 2) : o2 += n3), 3 === t2 && "!--" === o2 && (t2 = 4, u2 = u2[0]);
    }
    return l2(), u2;
  })(e2)), n2), arguments, [])).length > 1 ? n2 : n2[0];
}.bind(a);

// script/api.js
var base = document.querySelector('meta[name="rowhook-base"]').content.replace(/\/+$/, "");
var Problem = class extends Error {
  constructor(status, body = {}) {
    super(body.detail || body.title || (status ? `the server answered ${status}` : "the server cannot be reached"));
    this.status = status;
    this.errors = body.errors || [];
    this.oldest = body.oldest;
    this.id = body.id;
    this.away = status === 0;
  }
};
var away = 0;
var awaySince = () => away;
function reached(yes) {
  if (yes === !away) return;
  away = yes ? 0 : Date.now();
  dispatchEvent(new Event("rowhook-reach"));
}
async function look() {
  try {
    const { status } = await fetch(new URL("icon.svg", import.meta.url), { method: "HEAD", cache: "no-store", credentials: "omit" });
    reached(status < 502 || status > 504);
  } catch {
    reached(false);
  }
}
var whole = (_2, v2, from) => typeof v2 === "number" && from && JSON.rawJSON && from.source.replace(/[eE].*|\D/g, "").length > 15 ? JSON.rawJSON(from.source) : v2;
function early(url) {
  const asked2 = globalThis.rowhookAsked;
  const found = asked2.get(url.href);
  asked2.delete(url.href);
  return found && Date.now() - found.at < 5e3 ? found.answer : null;
}
function signed(role) {
  if (!role) globalThis.rowhookAsked.clear();
  try {
    if (role) localStorage.setItem("rowhook-role", role);
    else localStorage.removeItem("rowhook-role");
  } catch {
  }
}
var pause = (ms) => new Promise((done) => setTimeout(done, ms));
async function call(method, path, { query, body, match, type, exact, signal, headers: more2 } = {}) {
  const url = new URL(path.startsWith(base + "/") ? path : base + path, location.origin);
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== void 0 && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const headers = { Accept: "application/json", ...more2 };
  if (match) headers["If-Match"] = match;
  if (method !== "GET") {
    headers["Content-Type"] = type || "application/json";
  }
  const text2 = body === void 0 ? void 0 : JSON.stringify(body);
  for (let tries = 0; ; tries++) {
    let answer;
    try {
      answer = await (method === "GET" && !match && !more2 && early(url) || fetch(url, { method, headers, body: text2, signal, credentials: "same-origin" }));
    } catch (e2) {
      if (e2.name === "AbortError") throw e2;
      reached(false);
      throw new Problem(0, { detail: "rowhook cannot be reached: is it running? The page goes on by itself when it is back" });
    }
    if (answer.status === 429 && method === "GET" && tries < 4) {
      await pause(Math.min(Number(answer.headers.get("Retry-After")) || 1, 5) * 1e3);
      continue;
    }
    const given = answer.status === 204 ? "" : await answer.text();
    let data = null;
    try {
      data = given === "" ? null : JSON.parse(given, exact ? whole : void 0);
    } catch {
      if (answer.ok) throw new Problem(answer.status, { detail: "the answer is no JSON: is there something between this page and rowhook?" });
    }
    const gateway = data === null && answer.status >= 502 && answer.status <= 504;
    reached(!gateway);
    if (!answer.ok) {
      const problem = new Problem(answer.status, data || {});
      problem.away = gateway;
      problem.retryAfter = Number(answer.headers.get("Retry-After")) || 0;
      if (answer.status === 401 && path !== "/session") dispatchEvent(new Event("rowhook-out"));
      throw problem;
    }
    return { data, status: answer.status, headers: answer.headers, next: nextOf(answer.headers.get("Link")) };
  }
}
function nextOf(link) {
  const found = /<([^>]+)>;\s*rel="?next"?/.exec(link || "");
  return found ? found[1] : null;
}
var get = (path, query, signal) => call("GET", path, { query, signal });
var post = (path, body) => call("POST", path, { body: body === void 0 ? {} : body });
var part = (text2) => encodeURIComponent(text2);

// script/format.js
var two = (n2) => String(n2).padStart(2, "0");
function stamp(text2) {
  const t2 = new Date(text2);
  if (Number.isNaN(t2.getTime())) return String(text2 ?? "");
  return `${t2.getFullYear()}-${two(t2.getMonth() + 1)}-${two(t2.getDate())} ${two(t2.getHours())}:${two(t2.getMinutes())}:${two(t2.getSeconds())}`;
}
function clock(text2) {
  const t2 = new Date(text2);
  return `${two(t2.getHours())}:${two(t2.getMinutes())}:${two(t2.getSeconds())}.${String(t2.getMilliseconds()).padStart(3, "0")}`;
}
function seconds(n2) {
  if (n2 === null || n2 === void 0) return "–";
  const a2 = Math.abs(n2);
  if (a2 === 0) return "0 s";
  if (a2 < 0.0995) return `${trim(n2 * 1e3, a2 < 995e-5 ? 1 : 0)} ms`;
  if (a2 < 1) return `${Math.round(n2 * 1e3)} ms`;
  if (a2 < 10) return `${trim(n2, 1)} s`;
  if (a2 < 90) return `${Math.round(n2)} s`;
  if (a2 < 5400) return `${Math.round(n2 / 60)} min`;
  if (a2 < 48 * 3600) return `${trim(n2 / 3600, a2 < 36e3 ? 1 : 0)} h`;
  return `${Math.round(n2 / 86400)} d`;
}
var millis = (n2) => n2 === null || n2 === void 0 ? "–" : seconds(n2 / 1e3);
var trim = (n2, digits) => n2.toFixed(digits).replace(/\.0$/, "");
var span = (text2, now = Date.now()) => seconds(Math.max(1, Math.floor((now - new Date(text2).getTime()) / 1e3)));
function ago(text2, now = Date.now()) {
  if (!text2) return "–";
  const s2 = (now - new Date(text2).getTime()) / 1e3;
  if (Number.isNaN(s2)) return String(text2);
  if (Math.abs(s2) < 1) return "now";
  const words2 = seconds(Math.max(1, Math.floor(Math.abs(s2))));
  return s2 < 0 ? `in ${words2}` : `${words2} ago`;
}
function bytes(n2) {
  if (n2 === null || n2 === void 0) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i2 = 0;
  let v2 = n2;
  while (Math.abs(v2) >= 1024 && i2 < units.length - 1) {
    v2 /= 1024;
    i2++;
  }
  return `${i2 === 0 || Math.abs(v2) >= 100 ? Math.round(v2) : trim(v2, 1)} ${units[i2]}`;
}
var grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
var count = (n2) => n2 === null || n2 === void 0 ? "–" : grouped.format(n2);
function rate(n2) {
  if (n2 === null || n2 === void 0) return "–";
  if (n2 === 0 || n2 >= 99.5) return grouped.format(n2);
  return n2 < 10 ? trim(n2, n2 < 0.1 ? 2 : 1) : String(Math.round(n2));
}
function percent(share) {
  if (share === null || share === void 0) return "–";
  if (share >= 1) return "100 %";
  const p2 = Math.floor(share * 1e3) / 10;
  return `${p2.toFixed(p2 >= 10 && Number.isInteger(p2) ? 0 : 1)} %`;
}
function called(s2) {
  const letters = [...s2.name || host(s2.target_url)];
  return letters.length > 40 ? letters.slice(0, 39).join("") + "…" : letters.join("");
}
function host(url) {
  if (!url) return "feed, without a target";
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}
var many = (n2, one2, more2 = one2 + "s") => `${count(n2)} ${n2 === 1 ? one2 : more2}`;

// script/ui.js
var hearers = /* @__PURE__ */ new Set();
function say(text2, bad = false) {
  hearers.forEach((f2) => f2({ text: text2, bad }));
}
function Notices() {
  const [said, set] = G(null);
  J(() => {
    let timer;
    const f2 = (s2) => {
      clearTimeout(timer);
      set(s2);
      if (!s2.bad) timer = setTimeout(() => set(null), 6e3);
    };
    hearers.add(f2);
    return () => hearers.delete(f2);
  }, []);
  return fe`<div class="notices" role="status" aria-live="polite">${said && fe`<p class=${said.bad ? "notice bad" : "notice"}><span>${said.text}</span>
    <button class="quiet" type="button" aria-label="Dismiss" onClick=${() => set(null)}>×</button></p>`}</div>`;
}
function useLoad(load, deps, { every = 0 } = {}) {
  const [state, set] = G({ data: null, error: null, loading: true, at: 0 });
  const run = Q(0);
  const latest = Q(load);
  latest.current = load;
  const abort = Q(null);
  const missed = Q(false);
  const reload = Z(async () => {
    const mine = ++run.current;
    abort.current?.abort();
    abort.current = new AbortController();
    try {
      const data = await latest.current(abort.current.signal);
      if (mine === run.current) missed.current = false;
      if (mine === run.current) set({ data, error: null, loading: false, at: Date.now() });
    } catch (e2) {
      if (mine !== run.current || e2.name === "AbortError") return;
      missed.current = e2.away || e2.status === 503;
      set((s2) => ({ ...s2, error: e2, loading: false }));
    }
  }, []);
  J(() => {
    const back = () => !awaySince() && missed.current && reload();
    addEventListener("rowhook-reach", back);
    return () => removeEventListener("rowhook-reach", back);
  }, []);
  K(() => {
    set((s2) => ({ ...s2, loading: true }));
    let timer;
    let over = false;
    let due = false;
    const round = async () => {
      due = false;
      await reload();
      if (!over && (every || missed.current)) timer = setTimeout(next, every || 5e3);
    };
    const next = () => {
      if (document.hidden) due = true;
      else round();
    };
    const shown2 = () => !document.hidden && due && round();
    document.addEventListener("visibilitychange", shown2);
    round();
    return () => {
      over = true;
      document.removeEventListener("visibilitychange", shown2);
      run.current++;
      abort.current?.abort();
      clearTimeout(timer);
    };
  }, [...deps, every]);
  return { ...state, reload, put: (data) => set((s2) => ({ ...s2, data })) };
}
function useNow(every = 1e3) {
  const [now, set] = G(Date.now);
  J(() => {
    const timer = setInterval(() => document.hidden || set(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
function useSettled(value, ms) {
  const [settled, set] = G(value);
  J(() => {
    const timer = setTimeout(() => set(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
function useTitle(text2) {
  J(() => {
    document.title = text2 ? `${text2} · rowhook` : "rowhook";
  }, [text2]);
}
var shapes = {
  dot: fe`<circle cx="6" cy="6" r="4" fill="currentColor" />`,
  ring: fe`<circle cx="6" cy="6" r="3.500" fill="none" stroke="currentColor" stroke-width="1.600" />`,
  half: fe`<g><circle cx="6" cy="6" r="3.500" fill="none" stroke="currentColor" stroke-width="1.400" /><path d="M6 2.500a3.500 3.500 0 0 1 0 7z" fill="currentColor" /></g>`,
  square: fe`<rect x="2.500" y="2.500" width="7" height="7" rx="1" fill="currentColor" />`,
  triangle: fe`<path d="M6 1.500 11 10.500H1z" fill="currentColor" />`,
  cross: fe`<path d="m2.500 2.500 7 7m0-7-7 7" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" />`,
  check: fe`<path d="m2 6.500 2.800 3L10 3" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" />`,
  dash: fe`<path d="M2.500 6h7" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" />`,
  clock: fe`<g fill="none" stroke="currentColor" stroke-width="1.400" stroke-linecap="round"><circle cx="6" cy="6" r="4.200" /><path d="M6 3.800V6l1.500 1" /></g>`,
  turn: fe`<path d="M9.500 4A4 4 0 1 0 10 7M10 1.500V4.200H7.300" fill="none" stroke="currentColor" stroke-width="1.500" stroke-linecap="round" stroke-linejoin="round" />`
};
var Shape = ({ of }) => fe`<svg class="shape" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">${shapes[of]}</svg>`;
var states = {
  active: ["dot", "good"],
  shadow: ["half", "calm"],
  pending: ["clock", "calm"],
  disabled: ["square", "warn"],
  expired: ["dash", "calm"],
  failing: ["triangle", "bad"],
  delivered: ["check", "good"],
  failed: ["cross", "bad"],
  dropped: ["dash", "calm"],
  retrying: ["turn", "warn"],
  open: ["triangle", "warn"],
  closed: ["check", "calm"],
  queued: ["clock", "calm"],
  running: ["turn", "calm"],
  done: ["check", "good"],
  cancelled: ["dash", "calm"],
  error: ["cross", "bad"],
  warning: ["triangle", "warn"],
  info: ["ring", "calm"],
  fits: ["check", "good"],
  "does not fit": ["cross", "bad"],
  replicating: ["dot", "good"],
  catching_up: ["turn", "warn"],
  paused: ["square", "warn"],
  held: ["cross", "bad"],
  waiting: ["clock", "warn"],
  starting: ["clock", "calm"],
  standby: ["ring", "calm"],
  proxy: ["ring", "calm"]
};
function State({ of, word, tone }) {
  const [shape, own] = states[of] || ["ring", "calm"];
  return fe`<span class=${"state " + (tone || own)}><${Shape} of=${shape} />${word || String(of).replaceAll("_", " ")}</span>`;
}
function When({ at, now, none = "–" }) {
  if (!at) return fe`<span class="muted">${none}</span>`;
  return fe`<time datetime=${at} title=${stamp(at)}>${ago(at, now)}</time>`;
}
var For = ({ since, now }) => fe`<time datetime=${since} title=${stamp(since)}>for ${span(since, now)}</time>`;
function Button({ act, kind = "", children, ...rest }) {
  const [busy, set] = G(false);
  const alive = Q(true);
  J(() => () => {
    alive.current = false;
  }, []);
  const press = async () => {
    if (busy) return;
    set(true);
    try {
      await act();
    } catch (e2) {
      say(complaint(e2), true);
    } finally {
      if (alive.current) set(false);
    }
  };
  return fe`<button type="button" class=${kind} aria-disabled=${busy ? "true" : void 0} onClick=${press} ...${rest}>${children}</button>`;
}
function complaint(e2) {
  if (!(e2 instanceof Problem)) return String(e2?.message || e2);
  const told = e2.errors.map((x2) => x2.field ? `${x2.field}: ${x2.detail}` : x2.detail).join(". ");
  let text2 = told || e2.message;
  if (e2.status === 429 && e2.retryAfter) text2 += `: try again in ${e2.retryAfter} s`;
  if (e2.status === 412) text2 = "Somebody has changed it since this page read it: read it again, then repeat what you did";
  if (e2.status >= 500 && e2.id) text2 += ` (${e2.id} finds the line in the log of rowhook)`;
  return (told ? text2 : text2.charAt(0).toUpperCase() + text2.slice(1)) + (/[.!?)]$/.test(text2) ? "" : ".");
}
function Failure({ error, again }) {
  if (!error || error.away && awaySince()) return null;
  return fe`<div class="failure" role="alert"><p><${State} of="error" word="That did not work" /></p><p>${complaint(error)}</p>
    ${error.status === 503 && fe`<p>The page asks again by itself. The <a href="/console/">overview</a> of the admin says what is away, and what mends it.</p>`}
    ${again && fe`<${Button} act=${again}>Try again<//>`}</div>`;
}
async function copyText(text2, what = "Copied") {
  try {
    await navigator.clipboard.writeText(text2);
  } catch {
    const area = document.createElement("textarea");
    area.value = text2;
    area.className = "off";
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) return say("The browser does not let this page copy: select the text, and copy it by hand.", true);
  }
  say(what + ".");
}
var Copy = ({ text: text2, label = "Copy", what }) => fe`<button type="button" class="quiet copy" onClick=${() => copyText(typeof text2 === "function" ? text2() : text2, what)}>${label}</button>`;
function Code({ text: text2, label, lines: lines2 = true }) {
  return fe`<div class=${lines2 ? "code" : "code one"}><pre tabindex="0" aria-label=${label}>${text2}</pre><${Copy} text=${text2} /></div>`;
}
var Id = ({ children, short }) => {
  const text2 = String(children);
  return fe`<code class="id" title=${text2}>${short && text2.length > short ? text2.slice(0, short - 5) + "…" + text2.slice(-4) : text2}</code>`;
};
var token = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
function Json({ value, text: text2, label = "JSON" }) {
  let shown2 = text2;
  if (shown2 === void 0) shown2 = JSON.stringify(value, null, 2);
  else {
    try {
      const again = JSON.parse(text2);
      const pretty2 = JSON.stringify(again, null, 2);
      if (JSON.stringify(again) === text2.trim()) shown2 = pretty2;
    } catch {
    }
  }
  shown2 = shown2 ?? "null";
  let inside = shown2;
  if (shown2.length < 1e5) {
    inside = [];
    let from = 0;
    for (const m2 of shown2.matchAll(token)) {
      inside.push(shown2.slice(from, m2.index));
      if (m2[1] && m2[2]) inside.push(fe`<span class="k">${m2[1]}</span>`, m2[2]);
      else inside.push(fe`<span class=${m2[1] ? "s" : "n"}>${m2[0]}</span>`);
      from = m2.index + m2[0].length;
    }
    inside.push(shown2.slice(from));
  }
  return fe`<div class="code"><pre tabindex="0" aria-label=${label}>${inside}</pre><${Copy} text=${shown2} /></div>`;
}
var Empty = ({ title, children }) => fe`<div class="empty"><h2>${title}</h2>${children}</div>`;
var Loading = () => fe`<p class="loading" aria-busy="true">Reading…</p>`;
var Facts = ({ of }) => fe`<dl class="facts">${of.filter((f2) => f2 && f2[1] !== void 0).map(([name, value, long]) => fe`<div class=${long ? "long" : void 0}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
function useFirst(rows) {
  const [all, set] = G(false);
  J(() => set(true), []);
  return all ? rows : rows.slice(0, Math.ceil(innerHeight / 60));
}
function Table({ label, columns, rows: all, id, flash }) {
  const rows = useFirst(all);
  return fe`<table class="rows" role="table">
    <caption class="off">${label}</caption>
    <thead role="rowgroup"><tr role="row">${columns.map((c2) => fe`<th scope="col" role="columnheader" class=${c2.num ? "num" : c2.wide ? "wide" : ""}>${c2.name}</th>`)}</tr></thead>
    <tbody role="rowgroup">${rows.map((row) => fe`<tr key=${id(row)} role="row" class=${flash && flash(row) ? "fresh" : ""}>${columns.map((c2, i2) => fe`<td role="cell" data-label=${c2.name} class=${(c2.num ? "num" : c2.wide ? "wide" : "") + (i2 === 0 ? " first" : "")}>${c2.cell(row)}</td>`)}</tr>`)}</tbody>
  </table>`;
}
function Pager({ next, newest, onNext, onNewest, older = "Older", newestWord = "Newest" }) {
  if (!next && !newest) return null;
  return fe`<nav class="pager" aria-label="Pages of the list">${newest && fe`<button type="button" onClick=${onNewest}>${newestWord}</button>`}
    ${next && fe`<button type="button" onClick=${onNext}>${older}</button>`}</nav>`;
}
function Head({ title, sub, children, crumbs }) {
  return fe`<header class="head">
    ${crumbs && fe`<p class="crumbs">${crumbs}</p>`}
    <div class="headline"><h1 tabindex="-1">${title}</h1><div class="actions">${children}</div></div>
    ${sub && fe`<div class="sub">${sub}</div>`}
  </header>`;
}
var nextId = 0;
function useId(prefix) {
  const id = Q(null);
  if (!id.current) id.current = `${prefix}-${++nextId}`;
  return id.current;
}
function Field({ label, hint, wrong: wrong2, make, wide }) {
  const id = useId("f");
  const about = [hint && id + "-hint", wrong2 && id + "-wrong"].filter(Boolean).join(" ");
  return fe`<div class=${"field" + (wide ? " wide" : "") + (wrong2 ? " wrong" : "")}>
    <label for=${id}>${label}</label>
    ${make({ id, "aria-describedby": about || void 0, "aria-invalid": wrong2 ? "true" : void 0 })}
    ${wrong2 && fe`<p class="mistake" id=${id + "-wrong"}>${wrong2}</p>`}
    ${hint && fe`<p class="hint" id=${id + "-hint"}>${hint}</p>`}
  </div>`;
}
var Input = ({ value, set, ...rest }) => fe`<${Field} ...${rest} make=${(a2) => fe`<input type=${rest.type || "text"} value=${value} onInput=${(e2) => set(e2.target.value)} autocomplete="off" spellcheck=${false} placeholder=${rest.placeholder}
    list=${rest.list} ...${a2} />`} />`;
var Select = ({ value, set, options, ...rest }) => fe`<${Field} ...${rest} make=${(a2) => fe`<select value=${value} onChange=${(e2) => set(e2.target.value)} ...${a2}>${options.map((o2) => {
  const [v2, word] = Array.isArray(o2) ? o2 : [o2, o2];
  return fe`<option value=${v2} selected=${v2 === value}>${word}</option>`;
})}</select>`} />`;
var Area = ({ value, set, rows = 4, ...rest }) => fe`<${Field} ...${rest} make=${(a2) => fe`<textarea rows=${rows} value=${value} onInput=${(e2) => set(e2.target.value)} spellcheck=${false} placeholder=${rest.placeholder} ...${a2}></textarea>`} />`;
function Check({ label, value, set, hint }) {
  const id = useId("c");
  return fe`<div class="check"><input type="checkbox" id=${id} checked=${value} onChange=${(e2) => set(e2.target.checked)} aria-describedby=${hint ? id + "-hint" : void 0} />
    <label for=${id}>${label}</label>${hint && fe`<p class="hint" id=${id + "-hint"}>${hint}</p>`}</div>`;
}
function Search({ value, set, label, placeholder }) {
  return fe`<input type="search" class="search" data-search aria-label=${label} placeholder=${placeholder} value=${value} autocomplete="off" spellcheck=${false}
    onInput=${(e2) => set(e2.target.value)} />`;
}
function Dialog({ title, close, children }) {
  const box = Q(null);
  const id = useId("d");
  const closing = Q(close);
  closing.current = close;
  K(() => {
    const before = document.activeElement;
    const el = box.current;
    el.showModal();
    return () => {
      el.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return fe`<dialog ref=${box} aria-labelledby=${id} onCancel=${(e2) => {
    e2.preventDefault();
    closing.current();
  }}>
    <h2 id=${id}>${title}</h2>${children}</dialog>`;
}
function Confirm({ title, children, typed, word, danger, only, act, close }) {
  const [text2, set] = G("");
  const [error, fail] = G(null);
  const [busy, setBusy] = G(false);
  const ready = !typed || text2.trim() === typed;
  const submit = async (e2) => {
    e2.preventDefault();
    if (!ready || busy) return;
    setBusy(true);
    fail(null);
    try {
      await act();
      close();
    } catch (x2) {
      fail(x2);
      setBusy(false);
    }
  };
  return fe`<${Dialog} title=${title} close=${close}><form onSubmit=${submit}>
    ${children}
    ${typed && fe`<${Input} label=${fe`Type <code>${typed}</code> to confirm`} value=${text2} set=${set} />`}
    <${Failure} error=${error} />
    <div class="actions"><button type="submit" class=${danger ? "danger" : "primary"} disabled=${!ready || busy}>${word}</button>
    ${!only && fe`<button type="button" onClick=${close}>Cancel</button>`}</div>
  </form><//>`;
}

// script/away.js
function useAway() {
  const [since, set] = G(awaySince);
  J(() => {
    const f2 = () => set(awaySince());
    f2();
    addEventListener("rowhook-reach", f2);
    return () => removeEventListener("rowhook-reach", f2);
  }, []);
  return since;
}
function Away() {
  const since = useAway();
  J(() => {
    const timer = setInterval(() => document.hidden || look(), since ? 2e3 : 5e3);
    return () => clearInterval(timer);
  }, [since]);
  if (!since) return null;
  return fe`<section class="failure away" role="alert"><p><${State} of="error" word="rowhook does not answer" /> <span>since ${stamp(since)}</span></p>
    <p>What the page shows is from before. No event is lost: what is committed meanwhile stays in the slot, and is sent when rowhook runs again. The page goes on by itself then.</p>
    <p>Start it, or mend the network between here and it. A rowhook that ends again has said why in the last lines of its log: a wrong <code>store.encryption_key</code> or password, or a mistake in the config. On its machine, this says what is wrong, also where no rowhook answers:</p>
    <${Code} label="The command" text="rowhook status --config config.yaml" lines=${false} /></section>`;
}

// script/invitation.js
var waiting = "";
var listeners = /* @__PURE__ */ new Set();
function look2() {
  const token2 = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token2 === null) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  waiting = token2;
  listeners.forEach((f2) => f2());
}
look2();
addEventListener("hashchange", look2);
function take() {
  const token2 = waiting;
  waiting = "";
  return token2;
}
function onToken(f2) {
  listeners.add(f2);
  return () => listeners.delete(f2);
}

// script/router.js
var root = "/console";
var here = () => ({ url: location.href, path: location.pathname.slice(root.length).replace(/\/+$/, "") || "/", query: new URLSearchParams(location.search) });
var listeners2 = /* @__PURE__ */ new Set();
var tell = () => listeners2.forEach((f2) => f2());
function go(to, { replace = false } = {}) {
  const url = root + to;
  if (url === location.pathname + location.search) return tell();
  history[replace ? "replaceState" : "pushState"](null, "", url);
  tell();
}
function refine(values, { push = false } = {}) {
  const at = here();
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null || value === void 0) at.query.delete(name);
    else at.query.set(name, value);
  }
  const text2 = at.query.toString();
  go((at.path === "/" ? "/" : at.path) + (text2 ? "?" + text2 : ""), { replace: !push });
}
function useLocation() {
  const [at, set] = G(here);
  J(() => {
    const f2 = () => set(here());
    listeners2.add(f2);
    addEventListener("popstate", f2);
    set((was) => was.url === location.href ? was : here());
    return () => {
      listeners2.delete(f2);
      removeEventListener("popstate", f2);
    };
  }, []);
  return at;
}
addEventListener("click", (e2) => {
  if (e2.defaultPrevented || e2.button !== 0 || e2.metaKey || e2.ctrlKey || e2.shiftKey || e2.altKey) return;
  const a2 = e2.target instanceof Element && e2.target.closest("a[href]");
  if (!a2 || a2.target || a2.origin !== location.origin || !a2.pathname.startsWith(root)) return;
  if (a2.hash && a2.pathname === location.pathname) return;
  e2.preventDefault();
  go(a2.pathname.slice(root.length) + a2.search || "/");
});

// script/keyboard.js
var writes = (el) => el instanceof HTMLElement && (el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName)) && el.type !== "checkbox";
function step(by) {
  const links = [...document.querySelectorAll("main table.rows tbody tr td.first a, main table.rows tbody tr td.first button")];
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement);
  const to = links[at < 0 ? by > 0 ? 0 : links.length - 1 : Math.min(Math.max(at + by, 0), links.length - 1)];
  to.focus();
  to.scrollIntoView({ block: "nearest" });
}
function Keyboard({ pages, writable }) {
  const [help, show] = G(false);
  const now = Q();
  now.current = { pages, writable };
  K(() => {
    let g2 = 0;
    const press = (e2) => {
      if (e2.ctrlKey || e2.metaKey || e2.altKey || e2.defaultPrevented) return;
      if (e2.key === "Escape" && writes(e2.target)) return e2.target.blur();
      if (writes(e2.target) || document.querySelector("dialog[open]")) return;
      if (g2 && Date.now() - g2 < 1500) {
        g2 = 0;
        const page = now.current.pages.find((p2) => p2.key === e2.key);
        if (page) {
          e2.preventDefault();
          go(page.to);
        }
        return;
      }
      switch (e2.key) {
        case "g":
          g2 = Date.now();
          break;
        case "/": {
          e2.preventDefault();
          const field = document.querySelector("[data-search]");
          if (field) {
            field.focus();
            field.select();
          } else go("/subscriptions?find=1");
          break;
        }
        case "?":
          show(true);
          break;
        case "j":
          step(1);
          break;
        case "k":
          step(-1);
          break;
        case "n":
          if (now.current.writable) go("/subscriptions/new");
          break;
        default:
          return;
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  if (!help) return null;
  const rows = [
    ["/", "search"],
    ...pages.map((p2) => [`g ${p2.key}`, p2.name]),
    ["j k", "next and previous row"],
    ["Enter", "open the row"],
    ...writable ? [["n", "new subscription"]] : [],
    ["Esc", "leave a field, close a window"],
    ["?", "this list"]
  ];
  return fe`<${Dialog} title="Keys" close=${() => show(false)}>
    <dl class="keys">${rows.map(([key, what]) => fe`<div><dt>${key.split(" ").map((k2) => fe`<kbd>${k2}</kbd> `)}</dt><dd>${what}</dd></div>`)}</dl>
    <div class="actions"><button type="button" class="primary" onClick=${() => show(false)}>Close</button></div>
  <//>`;
}

// script/pages/deadletters.js
function DeadLetters({ at, writable }) {
  useTitle("Dead letters");
  const now = useNow(5e3);
  const q2 = at.query;
  const [asks, ask2] = G(false);
  const state = q2.get("state") ?? "open";
  const query = { limit: 50, state: state === "all" ? "" : state, resource: q2.get("resource"), reason: q2.get("reason"), after: q2.get("after") };
  const { data, error, loading, reload } = useLoad(async (signal) => call("GET", "/dead-letter/", { query, signal }), [q2.toString()], { every: 5e3 });
  const rows = data?.data || [];
  const next = data?.next && new URL(data.next, location.origin).searchParams.get("after");
  return fe`
    <${Head} title="Dead letters" sub="Changes that could not be mapped. The stream went on; these wait for a mended mapping.">
      ${writable && rows.some((l2) => l2.state === "open") && fe`<button type="button" onClick=${() => ask2(true)}>Replay ${q2.get("reason") || q2.get("resource") ? "these" : "all"}…</button>`}<//>
    <div class="bar" role="search" aria-label="Dead letters">
      <input type="search" class="search" data-search aria-label="A text in the reason" placeholder="A text in the reason" value=${q2.get("reason") || ""} onChange=${(e2) => refine({ reason: e2.target.value.trim(), after: "" })} />
      <select aria-label="State" onChange=${(e2) => refine({ state: e2.target.value === "open" ? "" : e2.target.value, after: "" })}>${[["open", "Open"], ["closed", "Closed"], ["all", "All"]].map(([v2, w2]) => fe`<option value=${v2} selected=${v2 === state}>${w2}</option>`)}</select>
      <input type="text" aria-label="Resource" placeholder="Resource" value=${q2.get("resource") || ""} onChange=${(e2) => refine({ resource: e2.target.value.trim(), after: "" })} />
    </div>
    <${Failure} error=${error} again=${reload} />
    ${!data && loading && fe`<${Loading} />`}
    ${data && rows.length === 0 && fe`<${Empty} title=${state === "open" && !q2.get("reason") && !q2.get("resource") ? "No dead letters" : "None fits"}><p>${state === "open" && !q2.get("reason") && !q2.get("resource") ? "Every change could be mapped. One that cannot is kept here with its reason, and can be replayed when the mapping is mended." : "None is like that."}</p><//>`}
    ${rows.length > 0 && fe`<${Table} label="Dead letters" rows=${rows} id=${(l2) => l2.id} columns=${[
    { name: "Change", cell: (l2) => fe`<a href=${`${root}/dead-letters/${l2.id}`}><bdi>${l2.type || l2.resource} ${l2.instance}</bdi></a><span class="under">${l2.op}</span>` },
    { name: "State", cell: (l2) => fe`<${State} of=${l2.requested_at ? "queued" : l2.state} word=${l2.requested_at ? "replay asked for" : l2.state === "closed" ? l2.closed_reason || "closed" : void 0} />` },
    { name: "Reason", wide: true, cell: (l2) => fe`<span class="clip"><bdi>${l2.reason}</bdi></span>` },
    { name: "Tries", num: true, cell: (l2) => String(l2.tries) },
    { name: "Committed", num: true, cell: (l2) => fe`<${When} at=${l2.committed_at} now=${now} />` }
  ]} />`}
    <${Pager} next=${next} newest=${q2.get("after")} onNext=${() => refine({ after: next }, { push: true })} onNewest=${() => refine({ after: "" }, { push: true })} />
    ${asks && fe`<${ReplayAll} q=${q2} close=${() => ask2(false)} done=${reload} />`}`;
}
function ReplayAll({ q: q2, close, done }) {
  const select = {};
  for (const name of ["resource", "reason"]) if (q2.get(name)) select[name] = q2.get(name);
  if (Object.keys(select).length === 0) select.all = true;
  const { data, error } = useLoad(async () => (await post("/dead-letter/replay", { ...select, dry_run: true })).data, []);
  return fe`<${Confirm} title="Replay dead letters" word="Replay" close=${close} act=${async () => {
    const n2 = (await post("/dead-letter/replay", select)).data.count;
    say(`The replay of ${many(n2, "dead letter")} is asked for.`);
    await done();
  }}><p>Their rows are read as they are now, and mapped again. Mend the mapping first: what fails again stays here.</p><${Failure} error=${error} />
    ${data && fe`<p><strong>${many(data.count, "dead letter")}</strong> ${data.count === 1 ? "is" : "are"} open${select.all ? "" : " and like that"}.</p>`}<//>`;
}
function DeadLetter({ id, writable }) {
  const now = useNow();
  const [asks, ask2] = G(false);
  const url = `/dead-letter/${part(id)}/`;
  const { data: l2, error, reload, put } = useLoad(async (signal) => (await get(url, null, signal)).data, [id], { every: 2e3 });
  useTitle("Dead letter");
  if (!l2) {
    return error?.status === 404 ? fe`<${Head} title="No such dead letter" /><${Empty} title="It is not there"><p>It is older than the retention. <a href=${root + "/dead-letters"}>All dead letters</a></p><//>` : fe`<${Head} title="Dead letter" />${error ? fe`<${Failure} error=${error} again=${reload} />` : fe`<${Loading} />`}`;
  }
  return fe`
    <${Head} title=${fe`<bdi>${l2.type || l2.resource} ${l2.instance}</bdi>`} crumbs=${fe`<a href=${root + "/dead-letters"}>Dead letters</a>`}
      sub=${fe`<${State} of=${l2.state} word=${l2.state === "closed" ? l2.closed_reason : void 0} /><span>${l2.op}</span><span>${many(l2.tries, "try", "tries")}</span>${l2.requested_at && fe`<span>a replay was asked for <${When} at=${l2.requested_at} now=${now} /></span>`}`}>
      ${writable && l2.state === "open" && fe`<${Button} kind="primary" act=${async () => {
    put((await post(url + "replay")).data);
    say("Its replay is asked for.");
  }}>Replay<//>
        <button type="button" class="danger" onClick=${() => ask2(true)}>Discard…</button>`}<//>
    <div class="callout warn-box"><p><strong>Why</strong></p><p><bdi>${l2.reason}</bdi></p></div>
    ${l2.state === "open" && fe`<p>Mend the mapping of <a href=${`${root}/resources/${encodeURIComponent(l2.resource)}`}>${l2.resource}</a>, try it there on this very row, reload the config, then replay.</p><br />`}
    <${Facts} of=${[
    ["Committed", stamp(l2.committed_at)],
    ["Found", stamp(l2.created_at)],
    ["Closed", l2.closed_at ? `${stamp(l2.closed_at)}${l2.closed_by ? ` by ${l2.closed_by}` : ""}` : void 0],
    ["Event", fe`<${Id}>${l2.event_id}<//>`],
    ["Position", fe`<${Id}>${l2.id}<//>`],
    l2.instance ? ["What happened to it", fe`<a href=${`${root}/events?resource=${encodeURIComponent(l2.resource)}&resource_id=${encodeURIComponent(l2.instance)}`}>all of <bdi>${l2.resource} ${l2.instance}</bdi></a>`] : null
  ]} />
    <section><h2>The same from a shell</h2><${Code} label="The commands" text=${`rowhook dead-letter get ${l2.id}
rowhook dead-letter replay ${l2.id}`} /></section>
    ${asks && fe`<${Confirm} title="Discard this dead letter" word="Discard" danger=${true} close=${() => ask2(false)} act=${async () => {
    await call("DELETE", url);
    say("It is discarded: its event is never sent.");
    await reload();
  }}><p>Its event is never sent, also when the mapping is mended. Later changes of the row are sent as always.</p><//>`}`;
}

// script/reasons.js
var reasons = {
  http_status: ["It answers with an error", "Tell its owner. The answers of the target, below, say more."],
  timeout: ["It does not answer in time", "Let the target answer first and work later, or raise the timeout."],
  connection_refused: ["It refuses the connection", "Nothing listens there: start the receiver, or mend the port."],
  connection_reset: ["It cuts the connection", "The connection breaks before the answer: look for a crash of the receiver."],
  connection_error: ["No connection to it can be made", "There is no way to the target: mend its address or the network."],
  dns_error: ["Its name does not resolve", "Mend the host in its URL, or the name’s zone."],
  tls_error: ["Its certificate or TLS is not right", "The detail of an attempt says what is wrong: mostly the certificate has expired, is of another host, or of an authority that nobody knows."],
  invalid_response: ["It answers something that is not HTTP", "Mend the port in its URL: what answers is no web server."],
  blocked_address: ["Its address may not be sent to", "Its address is not public: set another target, or allow it by delivery.allow_networks."],
  proxy_error: ["The egress proxy does not let it through", "Mend delivery.egress_proxy: the proxy is away or refuses."],
  oauth2_error: ["Its log-in gave no token", "Mend the client’s id and secret, or the token endpoint."],
  configuration: ["It cannot be sent to as it is", "The config does not allow its target any more, or its request cannot be made: edit it."],
  expired: ["It waited longer than events are kept", "Raise retention.for if targets are away for so long."]
};
var answers = {
  401: "Its log-in is not what the target expects: mend auth or headers, or the secret that its owner verifies with.",
  404: "Its URL is not where it takes hooks, or not any more: ask its owner, and edit the URL.",
  410: "By 410 a target says that it is gone for good: its subscription was deleted. Make a new one if that was a mistake.",
  429: "It asks for time: lower the subscription’s rate, or nothing."
};
answers[403] = answers[401];
answers[405] = answers[404];
var wordsOf = (reason, status) => reason === "http_status" && status ? `It answers HTTP ${status}` : reasons[reason]?.[0] || reason || "";
var mendOf = (reason, status) => reason === "http_status" && answers[status] || reasons[reason]?.[1] || "";

// script/pages/held.js
function usePause(admin) {
  const { data } = useLoad(async (signal) => admin ? (await get("/pause", null, signal)).data : null, [admin], { every: 5e3 });
  return data?.paused ? data : null;
}
var Paused = ({ pause: pause2, now }) => pause2 && fe`<div class="callout warn-box"><p><strong>Nothing is sent:</strong> it was paused by <bdi>${pause2.by}</bdi> <${When} at=${pause2.since} now=${now} />${pause2.reason ? fe`: <bdi>${pause2.reason}</bdi>` : ""}. What is committed waits in the store. When it may go on:</p>
  <${Code} label="The command" text="rowhook resume" lines=${false} /></div>`;
function holdOf(s2, stats, pause2, now) {
  if (pause2) return { words: "when sending is resumed" };
  if (s2 && ["disabled", "expired", "pending"].includes(s2.state)) return { words: s2.state === "pending" ? "when its target has agreed" : `held back: the subscription is ${s2.state === "expired" ? "over" : "disabled"}` };
  if (stats?.paused_until && Date.parse(stats.paused_until) > now) return { words: "held back: its target has asked for time", until: stats.paused_until };
  if (s2?.failing_since || stats?.failing_since) return { words: "due: while its target takes nothing, one after another is tried", slow: true };
  return null;
}
function Next({ at, now, hold, none = "when its turn comes" }) {
  if (hold && !hold.slow && !(hold.until && at && Date.parse(at) > Date.parse(hold.until))) {
    return fe`<span title=${hold.until ? stamp(hold.until) : void 0}>${hold.words}${hold.until && fe`, until <${When} at=${hold.until} now=${now} />`}</span>`;
  }
  if (at && Date.parse(at) > now) return fe`<${When} at=${at} now=${now} />`;
  if (!at) return fe`<span class="muted">${none}</span>`;
  return fe`<span>${hold ? hold.words : "due: now, when there is room"}</span>`;
}

// script/pages/jobs.js
var ended = (job) => ["done", "failed", "cancelled"].includes(job.state);
function Progress({ job }) {
  const share = job.total > 0 ? Math.min(job.done / job.total, 1) : null;
  return fe`<div class="progress">
    ${!ended(job) && (share === null ? fe`<progress aria-label="Progress"></progress>` : fe`<progress aria-label="Progress" max="1" value=${share}></progress>`)}
    <span>${count(job.done)}${job.total === null ? "" : ` of ${job.resources?.some((r2) => r2.estimated) ? "about " : ""}${count(job.total)}`} ${job.kind === "backfill" ? "rows" : "events"}</span>
    ${job.error && fe`<span class="mistake">${job.error}</span>`}
    ${(job.resources || []).filter((r2) => r2.failed > 0).map((r2) => fe`<span class="mistake">${r2.resource}: ${count(r2.failed)} left out${r2.failure ? `: ${r2.failure}` : ""}</span>`)}
  </div>`;
}
function JobTable({ jobs, named, writable, again, now }) {
  const cancel = (job) => async () => {
    await call("DELETE", `/job/${part(job.id)}/`);
    say(`The ${job.kind} is cancelled. What it has queued is sent.`);
    await again?.();
  };
  return fe`<${Table} label="Jobs" rows=${jobs} id=${(j2) => j2.id} columns=${[
    { name: "Job", cell: (j2) => named ? fe`<a href=${`${root}/subscriptions/${j2.subscription}/again`}>${j2.kind}</a>` : fe`<span>${j2.kind}</span>` },
    { name: "State", cell: (j2) => fe`<${State} of=${j2.state} />` },
    { name: "Progress", wide: true, cell: (j2) => fe`<${Progress} job=${j2} />` },
    { name: "Asked for", cell: (j2) => fe`<${When} at=${j2.created_at} now=${now} /><span class="under">by ${j2.requested_by || "somebody"}</span>` },
    writable && { name: "Cancel", cell: (j2) => !ended(j2) && fe`<${Button} kind="danger" act=${cancel(j2)}>Cancel<//>` }
  ].filter(Boolean)} />`;
}

// script/chart.js
var library;
function uPlot() {
  library ||= new Promise((done, failed) => {
    const css = document.createElement("link");
    css.rel = "stylesheet";
    css.href = root + "/vendor/uplot@1.6.32/uPlot.min.css";
    const script = document.createElement("script");
    script.src = root + "/vendor/uplot@1.6.32/uPlot.iife.min.js";
    script.onload = () => done(window.uPlot);
    script.onerror = () => failed(new Error("the charts could not be loaded"));
    document.head.append(css, script);
  });
  return library;
}
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const c2 = getComputedStyle(probe).color;
  probe.remove();
  return c2;
}
var minutes = [60, 120, 180, 300, 600, 900, 1800, 3600];
var binary = Array.from({ length: 50 }, (_2, i2) => 2 ** i2);
var alone = (values) => values.flatMap((v2, i2) => (v2 ?? null) !== null && (values[i2 - 1] ?? null) === null && (values[i2 + 1] ?? null) === null ? [i2] : []);
function Chart({ title, lines: lines2, data, show, steps }) {
  const box = Q(null);
  const plot = Q(null);
  const [theme, redraw] = G(0);
  const current = Q(data);
  current.current = data;
  const some = data[0].length > 1;
  J(() => {
    const again = () => redraw((n2) => n2 + 1);
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", again);
    addEventListener("rowhook-theme", again);
    return () => {
      media.removeEventListener("change", again);
      removeEventListener("rowhook-theme", again);
    };
  }, []);
  J(() => {
    if (!some) return void 0;
    let over = false;
    let watch2;
    uPlot().then((U2) => {
      if (over || !box.current) return;
      const ink = colour("muted");
      const line = colour("line");
      const font = "11px " + getComputedStyle(document.body).fontFamily;
      const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
      plot.current = new U2({
        width: box.current.clientWidth,
        height: 150,
        padding: [8, 4, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        select: { show: false },
        scales: { y: { range: (_2, __, max) => [0, max > 0 ? max * 1.12 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, space: 70, size: 24, incrs: minutes, values: (_2, at) => at.map((s2) => new Date(s2 * 1e3).toTimeString().slice(0, 5)) },
          { ...axis, size: 58, space: 34, ...steps && { incrs: steps }, values: (_2, at) => at.map(show) }
        ],
        series: [{}, ...lines2.map((l2) => ({
          stroke: colour(l2.colour),
          width: 1.6,
          dash: l2.dash,
          points: { size: 4, fill: colour(l2.colour), filter: (u2, i2) => alone(u2.data[i2]) },
          fill: l2.fill ? colour(l2.colour).replace("rgb(", "rgba(").replace(")", ", .10)") : void 0
        }))]
      }, current.current, box.current);
      watch2 = new ResizeObserver(() => box.current && plot.current?.setSize({ width: box.current.clientWidth, height: 150 }));
      watch2.observe(box.current);
    }, () => {
    });
    return () => {
      over = true;
      watch2?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [theme, some]);
  J(() => plot.current?.setData(data), [data]);
  const last = (i2) => data[i2 + 1].at(-1);
  const now = (i2) => (last(i2) ?? null) === null ? "–" : show(last(i2));
  const words2 = lines2.map((l2, i2) => `${l2.name} ${now(i2)}`).join(", ");
  return fe`<figure class="chart">
    <h3>${title}${lines2.map((l2, i2) => fe`<span class="key"><span class=${"swatch " + ["c1", "c2", "c3"][["accent", "bad", "muted"].indexOf(l2.colour)]}></span>${l2.name} ${some ? now(i2) : ""}</span>`)}</h3>
    ${some ? fe`<div class="plot" ref=${box} role="img" aria-label=${`${title} of the last ${Math.round((data[0].at(-1) - data[0][0]) / 60)} minutes, now: ${words2}`}></div>` : fe`<div class="nothing">The first values come within half a minute.</div>`}
  </figure>`;
}

// script/mend.js
var flag = String.raw`--(?:config [\w./-]+|resource [\w-]+|max-in-flight N|batch max=N|[a-z][a-z-]*)`;
var command = new RegExp([
  String.raw`\browhook (?:check|status|resume|drain|(?:subscription|delivery|dead-letter) [a-z]+)\b(?: (?:${flag}|sub_\w+|[A-Z]{2,}\b))*`,
  String.raw`\b(?:ALTER|SELECT|CREATE|GRANT|DROP|UPDATE) [^;]+;(?:\s+(?:ALTER|SELECT|CREATE|GRANT|DROP|UPDATE) [^;]+;)*`,
  String.raw`\b(?:timedatectl set-ntp true|chronyc tracking|date -u|curl -v \S+|kill -HUP \S+)`
].join("|"), "g");
var commandsIn = (text2) => [...new Set([...String(text2).matchAll(command)].map((m2) => m2[0]))];
var Linked = ({ text: text2 }) => String(text2).split(/(\bsub_[a-z2-7]{26}\b)/).map((t2, i2) => i2 % 2 ? fe`<a href=${`${root}/subscriptions/${t2}`}>${t2}</a>` : t2);
function Mend({ text: text2 }) {
  const found = commandsIn(text2);
  const alone2 = found.length === 1 && found[0] === text2.trim();
  return fe`${!alone2 && fe`<p class="mend"><${Linked} text=${text2} /></p>`}${found.map((c2) => fe`<${Code} text=${c2} label="What mends it" lines=${false} />`)}`;
}

// script/pages/overview.js
function Finding({ level, code, what, so, mend, since, place, sql }) {
  return fe`<li class="finding"><div><${State} of=${level} />${since && fe`<span class="under"><${When} at=${since} /></span>`}${code && fe`<code class="under">${code}</code>`}</div>
    <div><p>${place && fe`<code>${place}</code> `}<strong><${Linked} text=${what} /></strong></p>${so && fe`<p class="so">${so}</p>`}
    ${mend && fe`<${Mend} text=${mend} />`}
    ${(sql || []).map((s2) => fe`<div>${s2.note && fe`<p class="so">${s2.note}</p>`}<${Code} text=${s2.statement} label="The SQL that mends it" lines=${false} /></div>`)}</div></li>`;
}
var Figure = ({ name, value, unit, under }) => fe`<div><dt>${name}</dt><dd>${value}${unit && fe`<small>${unit}</small>`}</dd>${under && fe`<span class="under">${under}</span>`}</div>`;
var split = (text2) => {
  const i2 = text2.lastIndexOf(" ");
  return i2 < 0 ? { value: text2 } : { value: text2.slice(0, i2), unit: text2.slice(i2 + 1) };
};
var Worst = ({ errors, warnings }) => errors ? fe`<${State} of="error" word=${many(errors, "error")} />` : warnings ? fe`<${State} of="warning" word=${many(warnings, "warning")} />` : null;
function Overview() {
  useTitle("Overview");
  const now = useNow();
  const { data, error, reload } = useLoad(async (signal) => (await get("/status", null, signal)).data, [], { every: 2e3 });
  if (!data) return error ? fe`<${Head} title="Overview" /><${Failure} error=${error} again=${reload} />` : fe`<${Head} title="Overview" /><${Loading} />`;
  const s2 = data;
  const series = s2.series || [];
  const times = series.map((p2) => Date.parse(p2.at) / 1e3);
  const step2 = times.length > 1 ? times[1] - times[0] : 10;
  const column = (name) => series.map((p2) => p2[name] ?? null);
  const perSecond = (name) => series.map((p2) => p2[name] === null || p2[name] === void 0 ? null : p2[name] / step2);
  const r2 = s2.rates || {};
  const lat = r2.latency_seconds || {};
  const due = s2.deliveries || {};
  const [errors, warnings] = ["error", "warning"].map((level) => (s2.findings || []).filter((f2) => f2.severity === level).length);
  return fe`
    <${Head} title=${fe`<span class=${errors ? "bad" : ""}>${s2.summary.charAt(0).toUpperCase() + s2.summary.slice(1)}</span>`} sub=${fe`<${Worst} errors=${errors} warnings=${warnings} />
      <span><${State} of=${s2.state} tone=${errors ? "calm" : ""} /> <${For} since=${s2.since} now=${now} /></span>
      ${s2.database && fe`<span>${s2.database.name}${s2.database.environment ? ` (${s2.database.environment})` : ""}, Postgres ${s2.database.server_version}</span>`}`} />
    ${error && fe`<${Failure} error=${error} />`}
    <section aria-labelledby="findings"><h2 id="findings" class=${s2.findings?.length ? "" : "off"}>${s2.findings?.length ? "To be mended" : "Nothing is to be mended"}</h2>
      ${s2.findings?.length > 0 && fe`<ul>${s2.findings.map((f2) => fe`<${Finding} key=${f2.code + f2.what} level=${f2.severity} code=${f2.code} what=${f2.what} so=${f2.so} mend=${f2.mend} since=${f2.since} />`)}</ul>`}
    </section>
    <section aria-label="Figures"><dl class="ledger">
      <${Figure} name="Lag" ...${split(seconds(s2.stream?.lag_seconds))} under=${bytes(s2.slot?.lag_bytes)} />
      <${Figure} name="Events" value=${rate(r2.events_per_second)} unit="/s" under=${`${rate(r2.changes_per_second)} changes/s`} />
      <${Figure} name="Deliveries" value=${rate(r2.deliveries_per_second)} unit="/s" under=${`${rate(r2.failures_per_second)} failures/s`} />
      <${Figure} name="Latency, p50" ...${split(seconds(lat.p50))} under=${`p99 ${seconds(lat.p99)}`} />
      <${Figure} name="Waiting" value=${count(due.due)} under=${due.oldest_due_at ? fe`oldest <${When} at=${due.oldest_due_at} now=${now} />` : "nothing to be sent later"} />
      <${Figure} name="Failing targets" value=${count(s2.subscriptions?.failing)} under=${fe`<a href=${root + "/subscriptions?failing=true"}>of ${many(s2.subscriptions?.active ?? 0, "active one")}</a>`} />
      <${Figure} name="Dead letters" value=${count(s2.dead_letters?.open)} under=${fe`<a href=${root + "/dead-letters?state=open"}>open</a>`} />
      <${Figure} name="WAL kept" ...${split(bytes(s2.slot?.retained_bytes))} under=${s2.slot?.safe_wal_bytes === null || s2.slot?.safe_wal_bytes === void 0 ? "without a limit" : `${bytes(s2.slot.safe_wal_bytes)} left`} />
    </dl><p class="hint">Rates and latency are of the last minute; the charts have a value for each ${step2} seconds.</p></section>
    <section aria-label="The last 15 minutes"><div class="charts">
      <${Chart} title="Deliveries" lines=${[{ name: "delivered", colour: "accent", fill: true }, { name: "failed", colour: "bad", dash: [3, 3] }]} data=${[times, perSecond("delivered"), perSecond("failed")]} show=${(n2) => rate(n2) + "/s"} />
      <${Chart} title="Latency" lines=${[{ name: "p50", colour: "accent" }, { name: "p99", colour: "muted", dash: [6, 4] }]} data=${[times, column("p50"), column("p99")]} show=${seconds} />
      <${Chart} title="Lag" lines=${[{ name: "behind", colour: "accent", fill: true }]} data=${[times, column("lag_bytes")]} show=${bytes} steps=${binary} />
    </div></section>
    ${s2.failing?.length > 0 && fe`<section><h2>Targets that take nothing</h2><${Table} label="Failing targets" rows=${s2.failing} id=${(f2) => f2.id} columns=${[
    { name: "Subscription", cell: (f2) => fe`<a href=${`${root}/subscriptions/${f2.id}`}><bdi>${f2.name || f2.target_host}</bdi></a><span class="under"><bdi>${f2.name ? f2.target_host : ""}</bdi>${f2.account ? ` account ${f2.account}` : ""}</span>` },
    { name: "Last error", wide: true, cell: (f2) => fe`<span class="clip">${f2.status ? `HTTP ${f2.status}${f2.error && f2.error !== "http_status" ? `: ${f2.error}` : ""}` : f2.error || "–"}</span>` },
    { name: "Since", cell: (f2) => fe`<${When} at=${f2.since} now=${now} />` },
    { name: "Waiting", num: true, cell: (f2) => count(f2.waiting) },
    { name: "Next attempt", cell: (f2) => fe`<${Next} at=${f2.next_attempt_at} now=${now} hold=${s2.state === "paused" ? { words: "when sending is resumed" } : { words: "due", slow: true }} none="–" />` }
  ]} /></section>`}
    ${s2.jobs?.length > 0 && fe`<section><h2>Jobs</h2><${JobTable} jobs=${s2.jobs} named=${true} now=${now} /></section>`}`;
}

// script/pages/subscriptions.js
var stateOf = (s2) => s2.failing_since && s2.state === "active" ? "failing" : s2.state;
var known = /* @__PURE__ */ new Map();
var wanted = /* @__PURE__ */ new Map();
function ask(id, tell2) {
  const had = known.get(id);
  if (had && Date.now() - had.at < 3e4) return tell2(had.day);
  if (wanted.size === 0) queueMicrotask(askAll);
  wanted.set(id, tell2);
}
async function askAll() {
  const now = wanted;
  wanted = /* @__PURE__ */ new Map();
  try {
    for (const one2 of (await get("/subscription/stats", { id: [...now.keys()].join(",") })).data) known.set(one2.subscription, { at: Date.now(), day: one2.day });
  } catch {
  }
  for (const [id, tell2] of now) tell2(known.get(id)?.day ?? null);
}
var boxes = /* @__PURE__ */ new WeakMap();
var watch = new IntersectionObserver((seen) => {
  for (const e2 of seen) {
    if (!e2.isIntersecting) continue;
    watch.unobserve(e2.target);
    boxes.get(e2.target)?.();
  }
});
function Success({ id }) {
  const [day, set] = G(void 0);
  const box = Q(null);
  K(() => {
    let gone = false;
    const now = () => ask(id, (d2) => gone || set(d2));
    const { top, bottom } = box.current.getBoundingClientRect();
    if (top < innerHeight && bottom > 0) now();
    else {
      boxes.set(box.current, now);
      watch.observe(box.current);
    }
    const seen = box.current;
    return () => {
      gone = true;
      watch.unobserve(seen);
    };
  }, [id]);
  const n2 = day ? day.delivered + day.failed : 0;
  return fe`<span ref=${box} title=${day ? `${many(n2, "delivery", "deliveries")} of the last 24 hours${day.complete ? "" : ", as far as they were counted"}` : void 0}>${day ? percent(day.success_rate) : day === null ? "–" : "…"}</span>`;
}
function Subscriptions({ at, writable, admin, session }) {
  useTitle("Subscriptions");
  const now = useNow(5e3);
  const q2 = at.query;
  const [text2, setText] = G(q2.get("search") || "");
  const settled = useSettled(text2, 200);
  const [enabling, setEnabling] = G(false);
  J(() => {
    if (settled !== (q2.get("search") || "")) refine({ search: settled, after: "" });
  }, [settled]);
  J(() => {
    if (q2.get("find")) {
      document.querySelector("[data-search]")?.focus();
      refine({ find: "" });
    }
  }, []);
  const asked2 = { limit: 50, search: (q2.get("search") || "").trim(), state: q2.get("state"), failing: q2.get("failing"), event: q2.get("event"), account: admin ? q2.get("account") : "", after: q2.get("after") };
  const { data, error, loading, reload } = useLoad((signal) => call("GET", "/subscription/", { query: asked2, signal }), [q2.toString()], { every: 1e4 });
  const filtered = ["search", "state", "failing", "event", "account", "after"].some((n2) => q2.get(n2));
  const rows = data?.data || [];
  const next = data?.next && new URL(data.next, location.origin).searchParams.get("after");
  return fe`
    <${Head} title="Subscriptions" sub=${admin ? "Who gets which events, and whether they arrive." : `What account ${session.account} is sent.`}>
      ${writable && q2.get("state") === "disabled" && rows.length > 0 && fe`<button type="button" onClick=${() => setEnabling(true)}>Enable those that failed…</button>`}
      ${writable && fe`<a class="button" href=${root + "/subscriptions/new"}>New subscription</a>`}
    <//>
    <div class="bar" role="search" aria-label="Subscriptions">
      <${Search} label="Search by name, id or host" placeholder="Name, id or host" value=${text2} set=${setText} />
      <select aria-label="State" value=${q2.get("failing") ? "failing" : q2.get("state") || ""} onChange=${(e2) => refine(e2.target.value === "failing" ? { failing: "true", state: "", after: "" } : { state: e2.target.value, failing: "", after: "" })}>
        ${[["", "All states"], ["active", "Active"], ["failing", "Failing"], ["disabled", "Disabled"], ["pending", "Pending"], ["shadow", "Shadow"], ["expired", "Expired"]].map(([v2, w2]) => fe`<option value=${v2} selected=${v2 === (q2.get("failing") ? "failing" : q2.get("state") || "")}>${w2}</option>`)}</select>
      <input type="text" aria-label="Event" placeholder="Event" value=${q2.get("event") || ""} spellcheck=${false} onChange=${(e2) => refine({ event: e2.target.value.trim(), after: "" })} />
      ${admin && fe`<input type="text" aria-label="Account" placeholder="Account" value=${q2.get("account") || ""} onChange=${(e2) => refine({ account: e2.target.value.trim(), after: "" })} />`}
    </div>
    <${Failure} error=${error} again=${reload} />
    ${!data && loading && fe`<${Loading} />`}
    ${data && rows.length === 0 && (filtered ? fe`<${Empty} title="None fits"><p>No subscription is like that. ${q2.get("search") ? "The search looks for a part of the name, the id, the account, or the host of a target." : ""}</p>
          <p><button type="button" onClick=${() => {
    setText("");
    go("/subscriptions");
  }}>Show all</button></p><//>` : fe`<${Empty} title="No subscriptions yet">
          <p>A subscription is who gets which events, and where. ${writable ? "Make one here, or from a shell:" : "From a shell, with a token that may write:"}</p>
          <${Code} label="The command" text=${`rowhook subscription create --events '*' --target-url https://example.com/hooks`} />
          <${Code} label="The request" text=${`curl -sS -H "Authorization: Bearer $ROWHOOK_TOKEN" -H 'Content-Type: application/json' \\
  -d '{"events": ["*"], "target_url": "https://example.com/hooks"}' ${location.origin}${base}/subscription/`} />
          ${writable && fe`<a class="button" href=${root + "/subscriptions/new"}>New subscription</a>`}<//>`)}
    ${rows.length > 0 && fe`<${Table} label="Subscriptions" rows=${rows} id=${(s2) => s2.id} columns=${[
    { name: "Target", wide: true, cell: (s2) => fe`<a href=${`${root}/subscriptions/${s2.id}`}><bdi class="clip">${s2.name || host(s2.target_url)}</bdi></a>
        <span class="under">${s2.name ? fe`<bdi class="one-line">${host(s2.target_url)}</bdi>` : ""}<code>${s2.id}</code></span>` },
    { name: "State", cell: (s2) => fe`<${State} of=${stateOf(s2)} />${s2.failing_since && s2.state === "active" && fe`<span class="under"><${When} at=${s2.failing_since} now=${now} /></span>`}` },
    { name: "Events", cell: (s2) => fe`<span class="clip">${s2.events.slice(0, 3).map((e2) => fe`<code>${e2}</code> `)}${s2.events.length > 3 ? `and ${s2.events.length - 3} more` : ""}</span>` },
    admin && { name: "Account", cell: (s2) => s2.account === null ? fe`<span class="muted">all</span>` : fe`<bdi>${s2.account}</bdi>` },
    { name: "Arrived, 24 h", num: true, cell: (s2) => fe`<${Success} key=${s2.id} id=${s2.id} />` }
  ].filter(Boolean)} />`}
    <${Pager} next=${next} newest=${q2.get("after")} onNext=${() => refine({ after: next }, { push: true })} onNewest=${() => refine({ after: "" }, { push: true })} older="Next page" newestWord="First page" />
    ${enabling && fe`<${EnableFailed} close=${() => setEnabling(false)} done=${reload} at=${q2} />`}`;
}
function EnableFailed({ close, done, at }) {
  const select = {};
  for (const name of ["account", "event"]) if (at.get(name)) select[name] = at.get(name);
  if (Object.keys(select).length === 0) select.all = true;
  const { data, error } = useLoad(async () => (await post("/subscription/enable", { ...select, dry_run: true })).data, []);
  const act = async () => {
    let enabled = 0;
    for (let after; ; ) {
      const answer = (await post("/subscription/enable", { ...select, ...after ? { after } : {} })).data;
      enabled += answer.enabled;
      after = answer.after;
      if (!answer.more) break;
    }
    say(`${many(enabled, "subscription is", "subscriptions are")} enabled: what was kept for them is sent.`);
    await done();
  };
  return fe`<${Confirm} title="Enable what rowhook has disabled" word=${data ? `Enable ${data.enabled}${data.more ? " and more" : ""}` : "Enable"} act=${act} close=${close}>
    <p>Their targets took nothing for days. What was kept for them meanwhile is sent, in order. Those that somebody has disabled stay disabled.</p>
    <${Failure} error=${error} />
    ${data && fe`<p><strong>${many(data.enabled, "subscription")}${data.more ? " at least" : ""}</strong>${data.skipped ? `, and ${data.skipped} whose lease is over` : ""}.</p>`}
  <//>`;
}
function DeleteSubscription({ s: s2, close }) {
  const h2 = s2.target_url ? host(s2.target_url) : "";
  const typed = h2 && h2.length <= 40 ? h2 : "delete";
  return fe`<${Confirm} title="Delete this subscription" typed=${typed} word="Delete" danger=${true} close=${close} act=${async () => {
    await call("DELETE", `/subscription/${part(s2.id)}/`);
    say("The subscription is deleted.");
    go("/subscriptions");
  }}><p>Nothing more is sent to <strong><bdi>${s2.name || h2 || s2.id}</bdi></strong>, and what still waits for it is gone. This cannot be taken back: disabling it can.</p><//>`;
}
function Secret({ secret, close, children }) {
  return fe`<${Confirm} title="The secret, shown this once" word="I have stored it" only=${true} act=${async () => {
  }} close=${close}>
    <div class="secret"><${Code} text=${secret} label="The secret" lines=${false} />${children}</div><//>`;
}

// script/pages/subscription.js
function Subscription({ id, tab, at, session, writable, admin }) {
  const now = useNow();
  const url = `/subscription/${part(id)}/`;
  const { data: s2, error, reload, put } = useLoad(async (signal) => (await get(url, null, signal)).data, [id], { every: 5e3 });
  const stats = useLoad(async (signal) => (await get(url + "stats", null, signal)).data, [id], { every: 5e3 });
  const pause2 = usePause(admin);
  const status = useLoad(async (signal) => admin && session.features.includes("status") ? (await get("/status", null, signal)).data : null, [], { every: 5e3 });
  const slow = status.data?.findings.find((f2) => f2.code === "target_slow" && f2.what.includes(id));
  const [asks, ask2] = G("");
  const [secret, show] = G("");
  useTitle(s2 ? s2.name || host(s2.target_url) : "Subscription");
  if (!s2) {
    return error?.status === 404 ? fe`<${Head} title="No such subscription" /><${Empty} title="It is not there"><p>It was deleted, or belongs to another account. A target that answers HTTP 410 deletes its subscription: the overview names it. <a href=${root + "/subscriptions"}>All subscriptions</a></p><//>` : fe`<${Head} title="Subscription" />${error ? fe`<${Failure} error=${error} again=${reload} />` : fe`<${Loading} />`}`;
  }
  const to = `${root}/subscriptions/${id}`;
  const enable = async () => {
    put((await post(url + "enable")).data);
    say("It is enabled: what commits from now on is sent, and what was kept for it.");
    stats.reload();
  };
  const ping = async () => {
    const p2 = (await post(url + "ping")).data;
    if (p2.delivered) say(`The target took the ping: HTTP ${p2.status}, ${millis(p2.duration_ms)}.`);
    else say(`The target did not take the ping: ${p2.status ? `HTTP ${p2.status}` : ""} ${p2.reason || ""}${p2.detail ? `: ${p2.detail}` : ""}`, true);
  };
  const off = s2.state === "disabled" || s2.state === "expired";
  const feed = isFeed(s2);
  const hold = holdOf(s2, stats.data, pause2, now);
  const tabs = feed ? [["", "Events"], ["settings", "Settings"]] : [["", "Deliveries"], ["waiting", "Waiting"], ["again", "Send again"], ["settings", "Settings"]];
  return fe`
    <${Head} title=${fe`<bdi class="clip">${s2.name || host(s2.target_url)}</bdi>`} crumbs=${fe`<a href=${root + "/subscriptions"}>Subscriptions</a>`}
      sub=${fe`<${State} of=${stateOf(s2)} /><${Id}>${s2.id}<//><span>${s2.account === null ? "all accounts" : fe`account <bdi>${s2.account}</bdi>`}</span><span>${s2.events.slice(0, 6).map((e2) => fe`<code>${e2}</code> `)}${s2.events.length > 6 ? `and ${s2.events.length - 6} more` : ""}</span>`}>
      ${writable && fe`
        ${s2.target_url && fe`<${Button} act=${ping}>Ping<//>`}
        ${off || s2.state === "pending" ? fe`<${Button} act=${enable} kind="primary">${s2.state === "pending" ? "Ask again" : "Enable"}<//>` : ""}
        ${!off && fe`<button type="button" onClick=${() => ask2("disable")}>Disable…</button>`}
        <button type="button" onClick=${() => ask2("rotate")}>Rotate secret…</button>
        <a class="button plain" href=${to + "/edit"}>Edit</a>
        <button type="button" class="danger" onClick=${() => ask2("delete")}>Delete…</button>`}
    <//>
    ${error && fe`<${Failure} error=${error} />`}
    ${!feed && fe`<${Paused} pause=${pause2} now=${now} />`}
    <${Trouble} s=${s2} stats=${stats.data} now=${now} />
    ${slow && fe`<ul><${Finding} level=${slow.severity} code=${slow.code} what=${slow.what} so=${slow.so} mend=${slow.mend} since=${slow.since} /></ul>`}
    <${Numbers} stats=${stats} now=${now} feed=${feed} />
    <nav class="tabs" aria-label="Of this subscription">${tabs.map(([t2, word]) => fe`<a href=${to + (t2 && "/" + t2)} aria-current=${t2 === tab ? "page" : void 0}>${word}${t2 === "waiting" && stats.data?.waiting?.count ? ` (${count(stats.data.waiting.count)}${stats.data.waiting.at_least ? "+" : ""})` : ""}</a>`)}</nav>
    ${tab === "" && fe`<${Tail} id=${id} at=${at} now=${now} s=${s2} hold=${hold} />`}
    ${feed && ["waiting", "again"].includes(tab) && fe`<${Empty} title="It is a feed"><p>Events are kept in it to be read, and sent to nobody: none waits, and none can be sent again. Give it a target by <a href=${to + "/edit"}>editing it</a>, then a replay sends what was kept.</p><//>`}
    ${tab === "waiting" && !feed && fe`<${Waiting} id=${id} at=${at} now=${now} hold=${hold} />`}
    ${tab === "again" && !feed && fe`<${Again} s=${s2} writable=${writable} now=${now} />`}
    ${tab === "settings" && fe`<${Settings} s=${s2} />`}
    ${asks === "delete" && fe`<${DeleteSubscription} s=${s2} close=${() => ask2("")} />`}
    ${asks === "disable" && fe`<${Disable} url=${url} close=${() => ask2("")} done=${put} />`}
    ${asks === "rotate" && fe`<${Rotate} url=${url} close=${() => ask2("")} done=${(x2) => show(x2.secret)} />`}
    ${secret && fe`<${Secret} secret=${secret} close=${() => show("")}><p>Give it to the receiver: it is not shown again. The old one signs beside it as long as you chose.</p><//>`}`;
}
var isFeed = (s2) => s2.target_url === null;
function Trouble({ s: s2, stats, now }) {
  const said = [];
  const d2 = s2.disabled_reason;
  const last = s2.last_failure || stats?.last_error;
  if (d2 && (s2.state === "disabled" || s2.state === "expired")) {
    said.push(fe`<div class="callout warn-box"><p><strong>${s2.state === "expired" ? "It is over" : "Nothing is sent"}</strong>, <${For} since=${d2.since} now=${now} /> now: ${{ rowhook: "disabled by rowhook", admin: "disabled by an admin", account: "disabled by its owner", lease: "its lease has ended", import: "imported so" }[d2.by] || d2.by}${d2.reason ? fe`: <bdi>${d2.reason}</bdi>` : ""}.</p>
      ${d2.last_answer && fe`<p>How its target answered last: ${wordsOf(d2.last_answer.reason, d2.last_answer.status)}. ${mendOf(d2.last_answer.reason, d2.last_answer.status)}</p>`}
      ${d2.missed && fe`<p>${many(d2.missed.count, "event")} became older than the retention, and cannot be sent any more.</p>`}
      ${s2.state === "disabled" && fe`<p>${d2.by === "rowhook" ? "Mend the target, ping it, then enable: what was kept meanwhile is sent." : "Enable it to go on; what commits while it is disabled is not for it."}</p>`}</div>`);
  }
  if (s2.failing_since && s2.state === "active") {
    const waits = stats?.waiting;
    const next = waits?.next_attempt_at && Date.parse(waits.next_attempt_at) > now ? waits.next_attempt_at : null;
    said.push(fe`<div class="callout bad-box"><p><strong>Its target has taken nothing</strong> <${For} since=${s2.failing_since} now=${now} />${last ? fe`: ${wordsOf(last.reason, last.status)} (<code>${last.reason}</code>)` : ""}.</p>
      ${last && fe`<p>${mendOf(last.reason, last.status)}</p>`}
      <p>Nothing is lost: it is tried again by itself${next ? fe`, next <${When} at=${next} now=${now} />` : ""}, and when it is well again, all is sent. If it takes nothing for days, five unless the config says otherwise, the subscription is disabled. A ping tries it now.</p></div>`);
  }
  if (stats?.paused_until) said.push(fe`<div class="callout"><p><strong>The target has asked to be left alone</strong> until ${stamp(stats.paused_until)} (${fe`<${When} at=${stats.paused_until} now=${now} />`}), by Retry-After.</p></div>`);
  if (s2.filter_error) said.push(fe`<div class="callout warn-box"><p><strong>Its filter fails</strong> on ${many(s2.filter_error.count, "event")}, which were not sent. The last one: <code>${s2.filter_error.event_type}</code>, <${When} at=${s2.filter_error.at} now=${now} />.</p><p><code>${s2.filter_error.message}</code></p></div>`);
  if (s2.verification_status && s2.state === "pending") {
    const v2 = s2.verification_status;
    said.push(fe`<div class="callout"><p><strong>Its target has not agreed yet.</strong> ${many(v2.attempts, "attempt")}${v2.last_error ? fe`, the last one: <code>${v2.last_error}</code>` : ""}. ${v2.next_attempt ? fe`It is asked again <${When} at=${v2.next_attempt} now=${now} />.` : ""}</p></div>`);
  }
  return said;
}
function Numbers({ stats, now, feed }) {
  const d2 = stats.data;
  if (!d2) return stats.error ? fe`<${Failure} error=${stats.error} again=${stats.reload} />` : fe`<dl class="ledger" aria-busy="true">${["Last hour", "Last 24 hours", "Failed, 24 h", "Waiting", "Backlog"].map((n2) => fe`<div><dt>${n2}</dt><dd>…</dd><span class="under"> </span></div>`)}</dl>`;
  const partly = (w3) => w3.complete ? "" : ` since ${stamp(w3.counted_since).slice(11)}`;
  const w2 = d2.waiting;
  const ended2 = (of) => of.delivered + of.failed === 0 && w2.count ? "none has ended" : many(of.delivered, "delivery", "deliveries");
  if (feed) {
    return fe`<dl class="ledger">${[["Events, last hour", d2.hour], ["Events, 24 hours", d2.day]].map(([name, n2]) => fe`<div><dt>${name}</dt><dd>${count(n2.dropped)}</dd><span class="under">kept to be read${partly(n2)}</span></div>`)}</dl>`;
  }
  return fe`<dl class="ledger">
    <div><dt>Arrived, last hour</dt><dd>${percent(d2.hour.success_rate)}</dd><span class="under">${ended2(d2.hour)}${partly(d2.hour)}</span></div>
    <div><dt>Arrived, 24 hours</dt><dd>${percent(d2.day.success_rate)}</dd><span class="under">${ended2(d2.day)}${partly(d2.day)}</span></div>
    <div><dt>Failed, 24 hours</dt><dd>${count(d2.day.failed)}</dd><span class="under">${d2.day.dropped ? `${count(d2.day.dropped)} dropped` : "for good"}</span></div>
    <div><dt>Waiting</dt><dd>${count(w2.count)}${w2.at_least ? "+" : ""}</dd><span class="under">${w2.count ? `of ${many(w2.keys, "instance")}${w2.keys_at_least ? " at least" : ""}` : "nothing"}</span></div>
    <div><dt>Oldest that waits</dt><dd>${w2.oldest_age_seconds === null ? "–" : seconds(w2.oldest_age_seconds)}</dd><span class="under">${w2.next_attempt_at && Date.parse(w2.next_attempt_at) > now ? fe`next attempt <${When} at=${w2.next_attempt_at} now=${now} />` : " "}</span></div>
  </dl>`;
}
var kept = (d2) => d2.status === "dropped" && d2.dropped_reason === "feed";
var Stands = ({ d: d2 }) => kept(d2) ? fe`<${State} of="done" word="in the feed" />` : fe`<${State} of=${d2.status === "pending" && d2.retry_reason ? "retrying" : d2.status} />`;
function result(d2) {
  if (d2.status === "pending") return d2.retry_reason ? d2.retry_reason : d2.next_attempt ? "first attempt" : "waits for an earlier event of its instance";
  if (kept(d2)) return "to be read";
  if (d2.status === "dropped") return d2.dropped_reason || "not wanted by the target";
  return d2.http_status ? `HTTP ${d2.http_status}` : d2.status === "failed" ? "no answer" : "";
}
function DeliveryTable({ rows, now, fresh, subscription, hold, feed }) {
  return fe`<${Table} label="Deliveries" rows=${rows} id=${(d2) => d2.id} flash=${fresh} columns=${[
    { name: "Event", wide: true, cell: (d2) => fe`<a href=${`${root}/deliveries/${d2.id}`}>${d2.event.type}</a>
      <span class="under"><bdi>${d2.event.instance ? `${d2.event.resource} ${d2.event.instance}` : d2.event.resource}</bdi></span>` },
    subscription && { name: "Subscription", cell: (d2) => fe`<a href=${`${root}/subscriptions/${d2.subscription}`}><code>${d2.subscription}</code></a>` },
    { name: "State", cell: (d2) => fe`<${Stands} d=${d2} />${d2.replay ? fe`<span class="under">again</span>` : ""}${d2.fallback ? fe`<span class="under">fallback</span>` : ""}` },
    { name: "Result", cell: (d2) => fe`${result(d2)}${d2.status === "pending" && d2.next_attempt ? fe`<span class="under"><${Next} at=${d2.next_attempt} now=${now} hold=${hold} /></span>` : ""}` },
    !feed && { name: "Attempts", num: true, cell: (d2) => count(d2.attempt_count) },
    !feed && { name: "Took", num: true, cell: (d2) => millis(d2.duration_ms) },
    { name: "Committed", num: true, cell: (d2) => fe`<${When} at=${d2.event.timestamp} now=${now} />` }
  ].filter(Boolean)} />`;
}
function Tail({ id, at, now, s: s2, hold }) {
  const feed = isFeed(s2);
  const q2 = at.query;
  const after = q2.get("after");
  const [still, stop] = G(false);
  const url = `/subscription/${part(id)}/delivery/`;
  const filter = { status: q2.get("status"), event: q2.get("event"), resource_id: q2.get("resource_id") };
  const { data, error, loading, reload } = useLoad(async (signal) => call("GET", url, { query: { limit: 50, after, ...filter }, signal }), [q2.toString(), still], { every: after || still ? 0 : 2e3 });
  const seen = Q(/* @__PURE__ */ new Set());
  const first = Q(true);
  const rows = data?.data || [];
  const fresh = (d2) => !first.current && !seen.current.has(d2.id);
  J(() => {
    if (!data) return;
    first.current = false;
    rows.forEach((d2) => seen.current.add(d2.id));
  }, [data]);
  J(() => {
    first.current = true;
    seen.current.clear();
  }, [q2.toString()]);
  const next = data?.next && new URL(data.next, location.origin).searchParams.get("after");
  const filtered = Object.values(filter).some(Boolean);
  return fe`
    ${!after && !filtered && fe`<${Timeline} id=${id} feed=${feed} />`}
    <div class="bar">
      ${!feed && fe`<select aria-label="Status" value=${q2.get("status") || ""} onChange=${(e2) => refine({ status: e2.target.value, after: "" })}>${[["", "All"], ["pending", "Pending"], ["delivered", "Delivered"], ["failed", "Failed"], ["dropped", "Dropped"]].map(([v2, w2]) => fe`<option value=${v2} selected=${v2 === (q2.get("status") || "")}>${w2}</option>`)}</select>`}
      <input type="text" aria-label="Event" placeholder="contact.update" value=${q2.get("event") || ""} onChange=${(e2) => refine({ event: e2.target.value.trim(), after: "" })} />
      <input type="text" data-search aria-label="Instance" placeholder="Instance: 42" value=${q2.get("resource_id") || ""} onChange=${(e2) => refine({ resource_id: e2.target.value.trim(), after: "" })} />
      ${!after && fe`<button type="button" class="push" aria-pressed=${still ? "true" : "false"} onClick=${() => stop(!still)}>${still ? "Go on" : "Hold still"}</button>`}
    </div>
    <${Failure} error=${error} again=${reload} />
    ${!data && loading && fe`<${Loading} />`}
    ${data && rows.length === 0 && (next ? fe`<p class="muted">None of those looked at fits. There are older ones.</p>` : filtered ? fe`<${Empty} title="None fits"><p>Nothing like that was sent within the retention.</p><p><button type="button" onClick=${() => refine({ status: "", event: "", resource_id: "", after: "" })}>Show all</button></p><//>` : fe`<${Empty} title=${feed ? "Nothing is in it yet" : "Nothing was sent yet"}><p>An event comes here when a row of <code>${s2.events.join(", ")}</code> is changed and committed${s2.filter ? ", and the filter lets it through" : ""}. This page shows it by itself.${feed ? "" : " See that the target is there:"}</p>
        ${!feed && fe`<${Code} label="The command" text=${`rowhook subscription ping ${s2.id}`} />`}<//>`)}
    ${rows.length > 0 && fe`<${DeliveryTable} rows=${rows} now=${now} fresh=${fresh} hold=${hold} feed=${feed} />`}
    ${feed && fe`<p class="hint">It is read over the API, page by page or as a stream:</p><${Code} label="The request" text=${`curl -H "Authorization: Bearer $ROWHOOK_TOKEN" '${location.origin}${base}/subscription/${s2.id}/event/?after=oldest'`} />`}
    <${Pager} next=${next} newest=${after} onNext=${() => refine({ after: next }, { push: true })} onNewest=${() => refine({ after: "" }, { push: true })} />`;
}
function Timeline({ id, feed }) {
  const { data } = useLoad(async (signal) => (await get(`/subscription/${part(id)}/delivery/`, { limit: 500 }, signal)).data, [id], { every: 15e3 });
  if (!data || data.length < 2) return fe`<div class="bars" aria-hidden="true"></div>`;
  const times = data.map((d2) => Date.parse(d2.event.timestamp));
  const to = Math.max(...times) + 1;
  const from = data.length < 500 ? Math.min(...times, to - 6e4) : Math.min(...times);
  const bars = Array.from({ length: 60 }, () => ({ good: 0, bad: 0, calm: 0 }));
  const reasons2 = /* @__PURE__ */ new Map();
  data.forEach((d2, i2) => {
    const bad2 = d2.status === "failed" || d2.status === "pending" && d2.retry_reason;
    bars[Math.floor((times[i2] - from) / (to - from) * 60)][bad2 ? "bad" : d2.status === "delivered" ? "good" : "calm"]++;
    if (bad2) reasons2.set(result(d2), (reasons2.get(result(d2)) || 0) + 1);
  });
  const top = Math.max(...bars.map((b2) => b2.good + b2.bad + b2.calm));
  const bad = [...reasons2.values()].reduce((a2, b2) => a2 + b2, 0);
  return fe`<figure>
    <svg class="bars" viewBox="0 0 600 64" preserveAspectRatio="none" role="img" aria-label=${`The last ${data.length} deliveries, from ${stamp(times.at(-1))} to ${stamp(times[0])}: ${bad} did not arrive`}>
      ${bars.flatMap((b2, i2) => {
    let y2 = 64;
    return ["good", "calm", "bad"].map((kind) => {
      if (!b2[kind]) return null;
      const h2 = Math.max(b2[kind] / top * 60, 1.5);
      y2 -= h2;
      return fe`<rect class=${"b-" + kind} x=${i2 * 10 + 1} y=${y2} width="8" height=${h2} />`;
    });
  })}</svg>
    <figcaption class="sub"><span>The last ${feed ? many(data.length, "event") : many(data.length, "delivery", "deliveries")}, ${seconds((to - from) / 1e3)}.</span>
      ${bad > 0 && fe`<span>Did not arrive: ${[...reasons2].sort((a2, b2) => b2[1] - a2[1]).slice(0, 5).map(([r2, n2], i2) => fe`${i2 ? ", " : ""}<strong>${count(n2)}</strong> ${r2}`)}.</span>`}</figcaption>
  </figure><br />`;
}
function Waiting({ id, at, now, hold }) {
  const after = at.query.get("after");
  const { data, error, loading, reload } = useLoad(async (signal) => call("GET", `/subscription/${part(id)}/held/`, { query: { limit: 50, after }, signal }), [id, after], { every: 3e3 });
  const rows = data?.data || [];
  const next = data?.next && new URL(data.next, location.origin).searchParams.get("after");
  return fe`<${Failure} error=${error} again=${reload} />
    ${!data && loading && fe`<${Loading} />`}
    ${data && rows.length === 0 && (next ? fe`<p class="muted">None of those looked at waits. There are more.</p>` : fe`<${Empty} title="Nothing waits"><p>What was not taken at once waits here, by instance, until it is sent: later events of an instance wait behind the earlier ones.</p><//>`)}
    ${rows.length > 0 && fe`<${Table} label="Instances that wait" rows=${rows} id=${(k2) => k2.oldest.id} columns=${[
    { name: "Instance", cell: (k2) => fe`<a href=${`${root}/deliveries/${k2.oldest.id}`}><bdi>${k2.resource} ${k2.resource_id ?? ""}</bdi></a>` },
    { name: "Oldest", wide: true, cell: (k2) => fe`${k2.oldest.event.type}, <${When} at=${k2.oldest.event.timestamp} now=${now} /><span class="under">${k2.oldest.retry_reason || ""}</span>` },
    { name: "Waiting", num: true, cell: (k2) => count(k2.waiting) + (k2.at_least ? "+" : "") },
    { name: "Attempts", num: true, cell: (k2) => count(k2.oldest.attempt_count) },
    { name: "Next attempt", num: true, cell: (k2) => fe`<${Next} at=${k2.next_attempt} now=${now} hold=${hold} />` }
  ]} />`}
    <${Pager} next=${next} newest=${after} older="More" newestWord="First" onNext=${() => refine({ after: next }, { push: true })} onNewest=${() => refine({ after: "" }, { push: true })} />`;
}
function Again({ s: s2, writable, now }) {
  const url = `/subscription/${part(s2.id)}/`;
  const [what, set] = G("");
  const jobs = useLoad(async (signal) => (await get(url + "job/", { limit: 20 }, signal)).data, [s2.id], { every: 1500 });
  const can = writable && !["disabled", "expired", "pending", "shadow"].includes(s2.state);
  const rows = jobs.data || [];
  return fe`
    ${writable && !can && fe`<p class="callout">While it is ${s2.state === "shadow" ? "a shadow" : s2.state}, nothing can be sent again.</p>`}
    ${can && fe`<div class="actions">
      ${s2.target_url && fe`<button type="button" onClick=${() => set("replay")}>Replay events…</button>`}
      <button type="button" onClick=${() => set("backfill")}>Backfill rows…</button></div>`}
    <${Failure} error=${jobs.error} again=${jobs.reload} />
    ${!jobs.data && jobs.loading && fe`<${Loading} />`}
    ${jobs.data && rows.length === 0 && fe`<br /><${Empty} title="Nothing was sent again yet">
      <p>A <strong>replay</strong> sends events of the past again, such as those that failed. A <strong>backfill</strong> sends the rows that are there, as they are now. From a shell:</p>
      <${Code} label="The commands" text=${`rowhook subscription replay ${s2.id} --from 2h --dry-run
rowhook subscription backfill ${s2.id} --dry-run`} /><//>`}
    ${rows.length > 0 && fe`<section><h2>Jobs</h2><div aria-live="polite" class="off">${rows.filter((j2) => !ended(j2)).length ? "" : "All jobs have ended."}</div><${JobTable} jobs=${rows} writable=${writable} again=${jobs.reload} now=${now} /></section>`}
    ${what === "replay" && fe`<${Replay} url=${url} close=${() => set("")} done=${jobs.reload} />`}
    ${what === "backfill" && fe`<${Backfill} s=${s2} url=${url} close=${() => set("")} done=${jobs.reload} />`}`;
}
function Counted({ title, word, children, body, act, close, words: words2 }) {
  const [counted, set] = G(null);
  const [error, fail] = G(null);
  const [busy, setBusy] = G(false);
  const said = JSON.stringify(body());
  const run = (dry) => async (e2) => {
    e2?.preventDefault();
    if (busy) return;
    setBusy(true);
    fail(null);
    try {
      if (dry) set({ said, answer: await act({ ...body(), dry_run: true }) });
      else {
        await act(body());
        close();
        return;
      }
    } catch (x2) {
      fail(x2);
    }
    setBusy(false);
  };
  const fits = counted?.said === said;
  return fe`<${Dialog} title=${title} close=${close}><form onSubmit=${run(!fits)}>
    ${children(error)}
    <${Failure} error=${error} />
    <div role="status" aria-live="polite">${fits && words2(counted.answer)}</div>
    <div class="actions"><button type="submit" class="primary" aria-disabled=${busy ? "true" : void 0}>${fits ? word : "Count first"}</button>
      <button type="button" onClick=${close}>Cancel</button></div>
  </form><//>`;
}
var hours = { "1h": 1, "6h": 6, "24h": 24, "7d": 168 };
function Replay({ url, close, done }) {
  const [from, setFrom] = G("24h");
  const [since, setSince] = G("");
  const [until, setUntil] = G("");
  const [state, setState] = G("failed");
  const [events2, setEvents] = G("");
  const [instance, setInstance] = G("");
  const [rate2, setRate] = G("");
  const opened = Q(Date.now());
  const body = () => {
    const b2 = { state };
    if (from === "choose") {
      if (since) b2.from = new Date(since).toISOString();
      if (until) b2.to = new Date(until).toISOString();
    } else b2.from = new Date(opened.current - hours[from] * 36e5).toISOString();
    if (events2.trim()) b2.events = events2.split(/[,\s]+/).filter(Boolean);
    if (instance.trim()) b2.resource_id = instance.trim();
    if (rate2.trim()) b2.rate = Number(rate2) || rate2;
    return b2;
  };
  const act = async (b2) => {
    const { data } = await post(url + "replay", b2);
    if (!b2.dry_run) {
      say("The replay is queued.");
      await done();
    }
    return data;
  };
  return fe`<${Counted} title="Send events again" word="Replay" body=${body} act=${act} close=${close}
    words=${(n2) => fe`<p><strong>${many(n2.total, "event")}${n2.at_least ? " at least" : ""}</strong> would be sent again.</p>`}>${() => fe`
    <${Select} label="What became of them" value=${state} set=${setState} options=${[["failed", "failed for good"], ["missed", "failed or dropped"], ["delivered", "delivered"], ["dropped", "dropped"], ["all", "whatever it was"]]} />
    <${Select} label="Committed" value=${from} set=${setFrom} options=${[["1h", "in the last hour"], ["6h", "in the last 6 hours"], ["24h", "in the last 24 hours"], ["7d", "in the last 7 days"], ["choose", "between two times"]]} />
    ${from === "choose" && fe`<${Input} type="datetime-local" label="From" value=${since} set=${setSince} /><${Input} type="datetime-local" label="To" value=${until} set=${setUntil} hint="Empty: now." />`}
    <${Input} label="Only these events" value=${events2} set=${setEvents} placeholder="contact.update, deal.*" />
    <${Input} label="Only this instance" value=${instance} set=${setInstance} placeholder="42" />
    <${Input} label="At most so many in a second" value=${rate2} set=${setRate} hint="Empty: as fast as the target takes them." />`}<//>`;
}
function Backfill({ s: s2, url, close, done }) {
  const [chosen, choose] = G([]);
  const [since, setSince] = G("");
  const [rate2, setRate] = G("");
  const { data: types } = useLoad(async () => (await get("/event-type/")).data, []);
  const fits = (r2) => s2.events.some((e2) => e2 === "*" || e2.startsWith(r2 + "."));
  const resources = [...new Set((types || []).map((t2) => t2.resource))].filter((r2) => r2 && !/^rowhook\b/.test(r2) && fits(r2));
  const body = () => {
    const b2 = {};
    if (chosen.length) b2.resources = chosen;
    if (since) b2.since = new Date(since).toISOString();
    if (rate2.trim()) b2.rate = Number(rate2) || rate2;
    return b2;
  };
  const act = async (b2) => {
    const { data } = await post(url + "backfill", b2);
    if (!b2.dry_run) {
      say("The backfill is queued.");
      await done();
    }
    return data;
  };
  return fe`<${Counted} title="Send the rows that are there" word="Backfill" body=${body} act=${act} close=${close}
    words=${(n2) => fe`<p><strong>${n2.total === null ? "An unknown number of rows" : `${n2.estimated ? "About " : ""}${many(n2.total, "row")}`}</strong> would be looked at: ${n2.resources.map((r2) => `${r2.resource} ${count(r2.total)}`).join(", ")}.</p>`}>${() => fe`
    <fieldset class="fieldset"><legend>Resources</legend>${resources.map((r2) => fe`<${Check} key=${r2} label=${r2} value=${chosen.includes(r2)} set=${(on) => choose(on ? [...chosen, r2] : chosen.filter((x2) => x2 !== r2))} />`)}<p class="hint">None chosen: all of the subscription.</p></fieldset>
    <${Input} type="datetime-local" label="Changed since" value=${since} set=${setSince} hint="Empty: all rows." />
    <${Input} label="At most so many in a second" value=${rate2} set=${setRate} hint="Empty: as fast as the target takes them." />`}<//>`;
}
function Disable({ url, close, done }) {
  const [reason, set] = G("");
  return fe`<${Confirm} title="Disable this subscription" word="Disable" close=${close} act=${async () => {
    done((await post(url + "disable", reason.trim() ? { reason: reason.trim() } : {})).data);
    say("It is disabled: events that commit meanwhile are not for it.");
  }}><p>Events that commit while it is disabled are not for it. What is on its way waits until it is enabled, as long as the retention.</p>
    <${Input} label="Reason, for people" value=${reason} set=${set} /><//>`;
}
function Rotate({ url, close, done }) {
  const [keep, set] = G("24h");
  return fe`<${Confirm} title="Rotate the secret" word="Rotate" close=${close} act=${async () => done((await post(url + "rotate-secret", { keep_old: keep })).data)}>
    <p>A new secret signs from now on. The old one signs beside it for a while, so that the receiver can be changed without losing a hook.</p>
    <${Select} label="Keep the old one for" value=${keep} set=${set} options=${[["24h", "24 hours"], ["1h", "an hour"], ["168h", "7 days"], ["0s", "not at all: it has leaked"]]} /><//>`;
}
function Settings({ s: s2 }) {
  return fe`<${Facts} of=${[
    ["Target", s2.target_url === null ? "none: a feed" : fe`<bdi class="clip" title=${s2.target_url}>${s2.target_url}</bdi>`, true],
    ["Events", s2.events.join(", ")],
    ["Filter", s2.filter ? fe`<code>${s2.filter}</code>` : "none"],
    ["Instance", s2.resource_id || "all"],
    ["Ignored sources", s2.ignore_sources?.join(", ") || "none"],
    ["Ends", s2.expires_at ? stamp(s2.expires_at) : "never"],
    ["Verification", s2.verification],
    ["Made", stamp(s2.created_at)],
    ["Changed", stamp(s2.updated_at)],
    ["Description", s2.description ? fe`<bdi>${s2.description}</bdi>` : void 0, true]
  ]} /><section><h2>As the API has it</h2><${Json} value=${s2} label="The subscription" /></section>`;
}

// script/pages/delivery.js
var quote = (text2) => `'${String(text2).replaceAll("'", `'\\''`)}'`;
function curl(request, attempt) {
  const headers = { ...request.headers, ...attempt?.headers || {} };
  const lines2 = [`curl -sS -X ${request.method} ${quote(request.url)}`];
  const lack = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value.includes("***")) {
      lack.push(name);
      continue;
    }
    if (name === "content-length" || name === "host") continue;
    lines2.push(`-H ${quote(`${name}: ${value}`)}`);
  }
  if (request.method !== "GET") lines2.push(`--data-binary ${quote(request.body)}`);
  return (lack.length ? `# left out, as they are secret: ${lack.join(", ")}
` : "") + (request.truncated ? "# the body is cut off: only its beginning is kept here\n" : "") + lines2.join(" \\\n  ");
}
function Waterfall({ timings }) {
  const total = timings.total_ms || 0;
  if (!total) return null;
  const bars = [];
  let at = 0;
  for (const [name, key] of [["DNS", "dns_ms"], ["Connect", "connect_ms"], ["TLS", "tls_ms"]]) {
    if (timings[key] === void 0 || timings[key] === null) continue;
    bars.push([name, at, timings[key]]);
    at += timings[key];
  }
  const first = timings.first_byte_ms;
  if (first !== void 0 && first !== null) {
    bars.push(["Waiting", at, Math.max(first - at, 0), "wait"]);
    bars.push(["Reading", first, Math.max(total - first, 0)]);
  } else bars.push(["Without answer", at, Math.max(total - at, 0), "wait"]);
  const reused = timings.connect_ms === void 0 || timings.connect_ms === null;
  return fe`<div class="waterfall" role="group" aria-label=${`It took ${millis(total)}`}>${bars.map(([name, from, long, kind]) => fe`<div class=${kind || ""}><span>${name}</span>
    <svg viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true"><rect x=${Math.min(from / total * 1e3, 996)} y="0" width=${Math.max(long / total * 1e3, 4)} height="12" rx="2" /></svg>
    <span class="num">${millis(long)}</span></div>`)}
    ${reused && fe`<p class="hint">The connection was kept from an earlier attempt.</p>`}</div>`;
}
var Headers = ({ of }) => fe`<${Code} label="Headers" text=${Object.entries(of).map(([k2, v2]) => `${k2}: ${v2}`).join("\n")} />`;
function Delivery({ id, writable, admin, session }) {
  const now = useNow();
  const { data: d2, error, reload } = useLoad(async (signal) => (await get(`/delivery/${part(id)}/`, null, signal)).data, [id], { every: 3e3 });
  const pause2 = usePause(admin);
  const whose = d2?.subscription;
  const waits = d2?.status === "pending";
  const { data: of } = useLoad(async (signal) => {
    if (!whose) return null;
    const at = `/subscription/${part(whose)}/`;
    const [s2, stats] = await Promise.all([get(at, null, signal), waits ? get(at + "stats", null, signal) : {}]);
    return { s: s2.data, stats: stats.data };
  }, [whose, waits], { every: waits ? 5e3 : 0 });
  useTitle(d2 ? `${d2.event.type} ${d2.event.instance}` : "Delivery");
  if (!d2) {
    return error?.status === 404 ? fe`<${Head} title="No such delivery" /><${Empty} title="It is not there"><p>It is older than the retention, or belongs to another account.</p><//>` : fe`<${Head} title="Delivery" />${error ? fe`<${Failure} error=${error} again=${reload} />` : fe`<${Loading} />`}`;
  }
  const redeliver = async () => {
    await post(`/delivery/${part(id)}/redeliver`);
    say("It is sent again, with the same webhook-id.");
    await reload();
  };
  const attempts = [...d2.attempts || []].reverse();
  const to = `${root}/subscriptions/${d2.subscription}`;
  const events2 = session.features.includes("feed") && d2.event.instance;
  return fe`
    <${Head} title=${fe`${d2.event.type} <bdi>${d2.event.instance}</bdi>`} crumbs=${fe`<a href=${root + "/subscriptions"}>Subscriptions</a> / <a href=${to}>${of?.s ? fe`<bdi>${called(of.s)}</bdi>` : fe`<code>${d2.subscription}</code>`}</a>`}
      sub=${fe`<${Stands} d=${d2} /><span>${result(d2)}</span><span>${many(d2.attempt_count, "attempt")}</span>
        ${d2.status === "pending" && fe`<span>${d2.next_attempt ? fe`next attempt: <${Next} at=${d2.next_attempt} now=${now} hold=${holdOf(of?.s, of?.stats, pause2, now)} />` : "it is sent when the earlier event of its instance is"}</span>`}${d2.replay && fe`<span>sent again</span>`}${d2.fallback && fe`<span>by the fallback</span>`}`}>
      ${writable && d2.status !== "pending" && !kept(d2) && fe`<${Button} act=${redeliver} kind="primary">Redeliver<//>`}
      ${d2.request && fe`<${Copy} text=${() => curl(d2.request, attempts[0])} label="Copy as curl" what="The command is copied, without what is secret" />`}
    <//>
    ${error && fe`<${Failure} error=${error} />`}
    ${waits && fe`<${Paused} pause=${pause2} now=${now} />`}
    <${Facts} of=${[
    ["Committed", fe`<time datetime=${d2.event.timestamp}>${stamp(d2.event.timestamp)}</time> (<${When} at=${d2.event.timestamp} now=${now} />)`],
    ["Ended", d2.finished_at ? stamp(d2.finished_at) : void 0],
    ["webhook-id", fe`<${Id}>${d2.event.id}<//>`],
    ["Position", fe`<${Id}>${d2.event.position}<//>`],
    events2 ? ["What happened to it", fe`<a href=${`${root}/events?resource=${encodeURIComponent(d2.event.resource)}&resource_id=${encodeURIComponent(d2.event.instance)}`}>all of <bdi>${d2.event.resource} ${d2.event.instance}</bdi></a>`] : null,
    ["Delivery", fe`<${Id} short=${40}>${d2.id}<//>`]
  ]} />
    <section><h2>Attempts</h2>
      ${attempts.length === 0 && fe`<p class="muted">${d2.status === "dropped" ? kept(d2) ? "None: it is kept in the feed, to be read." : `None: ${{ shadow: "the subscription is a shadow", debounced: "it was gathered into a later event" }[d2.dropped_reason] || "it was dropped"}.` : "None has ended yet."}</p>`}
      ${attempts.map((a2) => fe`<${Attempt} key=${a2.number + a2.started_at} a=${a2} />`)}
    </section>
    ${d2.request && fe`<section><h2>Request</h2><p class="sub">As the subscription is now: its URL and headers may have been others then.</p><br />
      <div class="two"><div><${Code} label="Method and URL" text=${`${d2.request.method} ${d2.request.url}`} lines=${false} /><br /><${Headers} of=${d2.request.headers} /></div>
      <div><${Json} text=${d2.request.body} label="Body" />${d2.request.truncated && fe`<p class="hint">Its beginning: the whole has ${bytes(d2.request.body_bytes)}.</p>`}</div></div></section>
    <section><h2>If the receiver says that the signature is wrong</h2>
      <p>Let it write down the request as it came: headers, an empty line, the body, byte for byte. This says which part is wrong, and what was done to it:</p><br />
      <${Code} label="The command" text=${`WEBHOOK_SECRET=whsec_… rowhook verify request.http`} /></section>`}`;
}
function Attempt({ a: a2 }) {
  const why = a2.delivered ? "" : mendOf(a2.reason, a2.answer?.status);
  return fe`<article class="attempt" aria-label=${`Attempt ${a2.number}`}>
    <header><h3>Attempt ${a2.number}${a2.fallback ? ", at the fallback" : ""}</h3><${State} of=${a2.delivered ? "delivered" : a2.counts ? "failed" : "waiting"} word=${a2.delivered ? void 0 : a2.counts ? void 0 : "asked for time"} />
      <span>${a2.answer ? `HTTP ${a2.answer.status}` : a2.reason || "no answer"}</span><time datetime=${a2.started_at} class="muted">${stamp(a2.started_at).slice(0, 10)} ${clock(a2.started_at)}</time><span class="muted">${millis(a2.timings.total_ms)}</span></header>
    ${!a2.delivered && fe`<div class="callout"><p><strong>${wordsOf(a2.reason, a2.answer?.status)}</strong> <code>${a2.reason}</code>${a2.detail ? fe`: <bdi>${a2.detail}</bdi>` : ""}</p>${why && fe`<p>${why}</p>`}</div>`}
    <${Waterfall} timings=${a2.timings} />
    ${a2.answer?.body && fe`<div><p class="label">Answer</p><${Json} text=${a2.answer.body} label="The body of the answer" /></div>`}
    ${Object.keys(a2.headers || {}).length > 0 && fe`<details><summary>Headers of this attempt</summary><br /><${Headers} of=${a2.headers} /></details>`}
  </article>`;
}

// script/near.js
function distance(a2, b2) {
  let [before, last] = [[], Array.from({ length: b2.length + 1 }, (_2, i2) => i2)];
  for (let i2 = 1; i2 <= a2.length; i2++) {
    const row = [i2];
    for (let j2 = 1; j2 <= b2.length; j2++) {
      row[j2] = Math.min(last[j2] + 1, row[j2 - 1] + 1, last[j2 - 1] + (a2[i2 - 1] === b2[j2 - 1] ? 0 : 1));
      if (i2 > 1 && j2 > 1 && a2[i2 - 1] === b2[j2 - 2] && a2[i2 - 2] === b2[j2 - 1]) row[j2] = Math.min(row[j2], before[j2 - 2] + 1);
    }
    [before, last] = [last, row];
  }
  return last[b2.length];
}
function nearest(written, names) {
  const text2 = written.toLowerCase();
  let [best, least] = ["", Math.max(1, Math.floor(text2.length / 3)) + 1];
  for (const name of names) {
    if (Math.abs(name.length - text2.length) >= least) continue;
    const d2 = distance(text2, name.toLowerCase());
    if (d2 < least) [best, least] = [name, d2];
  }
  return best;
}

// script/pages/events.js
function asked(q2) {
  const query = { limit: 50, resource_id: q2.get("resource_id"), before: q2.get("before") };
  if (q2.get("type")) query.type = q2.get("type");
  else if (q2.get("resource")) query.type = q2.get("resource") + ".*";
  return query;
}
var position = /^[0-9a-f]{40}$/i;
function parse(text2) {
  const one2 = text2.trim();
  if (/^evt_[a-z2-7]{26}$/.test(one2) || position.test(one2)) return { event: one2 };
  const found = /^\s*([^\s/]+)?[\s/]*(.*?)\s*$/.exec(text2);
  const [first, rest] = [found[1] || "", found[2]];
  if (rest) return first.includes(".") ? { type: first, resource_id: rest } : { resource: first, resource_id: rest };
  if (/^[A-Za-z_][\w-]*\.[\w*.-]+$/.test(first)) return { type: first };
  if (/^[A-Za-z_]+$/.test(first)) return { resource: first };
  return { resource_id: first };
}
var words = (q2) => q2.get("event") || [q2.get("type") || q2.get("resource"), q2.get("resource_id")].filter(Boolean).join(" ");
async function one(id, signal) {
  let went = await call("GET", `/event/${part(id)}/delivery/`, { query: { limit: 1 }, signal });
  for (let i2 = 0; i2 < 5 && went.data.length === 0 && went.next; i2++) went = await call("GET", went.next, { signal });
  const at = position.test(id) ? id.toLowerCase() : went.data[0]?.event.position;
  if (!at) return { data: [], unsent: true };
  const behind = (BigInt("0x" + at) + 1n).toString(16).padStart(40, "0");
  const { data } = await call("GET", "/event/", { query: { before: behind, limit: 1 }, signal });
  return { data: data.filter((e2) => e2.position === at) };
}
function Events({ at, admin }) {
  const q2 = at.query;
  const now = useNow(5e3);
  const name = words(q2);
  useTitle(name ? `Events of ${name}` : "Events");
  const [text2, setText] = G(name);
  const settled = useSettled(text2, 350);
  const own = Q(name);
  J(() => {
    if (name === own.current) return;
    own.current = name;
    setText(name);
  }, [name]);
  J(() => {
    if (settled.trim() === name.trim()) return;
    const p2 = parse(settled);
    own.current = words(new URLSearchParams(Object.entries(p2).filter(([, v2]) => v2)));
    refine({ type: "", resource: "", resource_id: "", event: "", before: "", ...p2 });
  }, [settled]);
  const before = q2.get("before");
  const { data, error, loading, reload } = useLoad(async (signal) => {
    if (q2.get("event")) return one(q2.get("event"), signal);
    let answer = await call("GET", "/event/", { query: asked(q2), signal });
    for (let i2 = 0; i2 < 5 && answer.data.length === 0 && answer.next; i2++) answer = await call("GET", answer.next, { signal });
    return answer;
  }, [q2.toString()], { every: before || q2.get("event") ? 0 : 5e3 });
  const unknown = q2.get("event") && error?.status === 404;
  const rows = !unknown && data?.data || [];
  const next = data?.next && new URL(data.next, location.origin).searchParams.get("before");
  const looked2 = data?.headers?.get("Rowhook-Looked-Back");
  return fe`
    <${Head} title=${q2.get("event") ? fe`The event <bdi>${name}</bdi>` : name ? fe`Events of <bdi>${name}</bdi>` : "Events"} sub=${admin ? "What has happened to rows, newest first, and where it went." : "What has happened to your rows, newest first, and where it went."} />
    <div class="bar" role="search" aria-label="Events"><input type="search" class="search" data-search aria-label="Instance or event" placeholder="contact 42, deal.update, a webhook-id" value=${text2} spellcheck=${false} autocomplete="off"
      onInput=${(e2) => setText(e2.target.value)} /></div>
    ${error?.status === 410 ? fe`<div class="callout warn-box"><p>What is older is gone: the retention is over.</p><p><button type="button" onClick=${() => refine({ before: "" })}>Newest</button></p></div>` : unknown ? fe`<${Unknown} id=${name} />` : fe`<${Failure} error=${error} again=${reload} />`}
    ${!data && loading && fe`<${Loading} />`}
    ${data && !error && rows.length === 0 && (data.unsent ? fe`<${Empty} title="Nobody got it"><p>The event is kept, and no subscription matched it. Its position, or its instance, shows what it says.</p><//>` : q2.get("event") ? fe`<${Unknown} id=${name} />` : name || next ? fe`<${Nothing} q=${q2} name=${name} admin=${admin} all=${() => {
    setText("");
    go("/events");
  }} choose=${setText} older=${next && `Nothing${looked2 ? ` since ${stamp(looked2)}` : " yet"}: it can be older.`} />` : fe`<${Empty} title="No events yet"><p>An event is kept when a row is changed, committed, and a subscription matches it. Make a subscription, then change a row.</p>
          <a class="button" href=${root + "/subscriptions/new"}>New subscription</a><//>`)}
    ${rows.length > 0 && fe`<table class="rows"><caption class="off">Events</caption>
      <thead><tr><th scope="col">Event</th><th scope="col" class="most">Data</th><th scope="col" class="num">Committed</th></tr></thead>
      <tbody>${rows.map((e2) => fe`<${Row} key=${(q2.get("event") || "") + e2.id} e=${e2} now=${now} open=${rows.length === 1 || [e2.id, e2.position].includes(q2.get("event")?.toLowerCase())} />`)}</tbody></table>`}
    ${looked2 && rows.length > 0 && next && fe`<p class="hint">Looked back to ${stamp(looked2)}.</p>`}
    <${Pager} next=${next} newest=${before} onNext=${() => refine({ before: next }, { push: true })} onNewest=${() => refine({ before: "" }, { push: true })} />`;
}
var Unknown = ({ id }) => fe`<${Empty} title="No such event"><p>None of those that are kept is called so${position.test(id) ? "" : ", as far as the newest 100,000 go: the position of an older one finds it"}. A ping is not kept.</p><//>`;
function Nothing({ q: q2, name, admin, all, choose, older }) {
  const { data: types, error } = useLoad(async (signal) => (await get("/event-type/", null, signal)).data, []);
  if (!types && !error) return fe`<${Loading} />`;
  const type = q2.get("type") || "";
  const resource = type.endsWith(".*") ? type.slice(0, -2) : q2.get("resource");
  const names = resource ? [...new Set((types || []).map((t2) => t2.resource))].filter((r2) => r2 === resource || !/^rowhook\b/.test(r2)) : (types || []).map((t2) => t2.name);
  const asked2 = resource || type;
  if (types && asked2 && !names.includes(asked2)) {
    const meant = nearest(asked2, names);
    const instead = [meant, q2.get("resource_id")].filter(Boolean).join(" ");
    return fe`<${Empty} title=${`No ${resource ? "resource" : "event"} is called ${asked2}`}>
      ${meant ? fe`<p>Did you mean <button type="button" onClick=${() => choose(instead)}>${instead}</button>?</p>` : fe`<p>There ${names.length === 1 ? "is" : "are"} ${names.slice(0, 12).map((n2, i2) => fe`${i2 ? ", " : ""}<code>${n2}</code>`)}${names.length > 12 ? ` and ${names.length - 12} more` : ""}.</p>`}
      <p><button type="button" onClick=${all}>All events</button></p><//>`;
  }
  if (older) return fe`<p class="muted">${older}</p>`;
  return fe`<${Empty} title="Nothing is known of it"><p>No event of <bdi>${name}</bdi> is kept. Either nothing was committed within the retention, or no subscription matched it. To keep the events that nobody has subscribed to as well, set:</p>
    <${Code} label="The config" text="retention: {events: all}" lines=${false} />${admin && fe`<p>Or it could not be mapped: see the <a href=${root + "/dead-letters"}>dead letters</a>.</p>`}<p><button type="button" onClick=${all}>All events</button></p><//>`;
}
var brief = (e2) => {
  const shown2 = e2.previous ? { ...Object.fromEntries(Object.keys(e2.previous).filter((k2) => e2.data && k2 in e2.data).map((k2) => [k2, e2.data[k2]])) } : e2.data;
  const text2 = JSON.stringify(shown2 ?? null);
  return (e2.previous ? "changed " : "") + (text2.length > 240 ? text2.slice(0, 240) + "…" : text2);
};
function Row({ e: e2, now, open: begin }) {
  const [open, set] = G(begin);
  const id = `event-${e2.id}`;
  const instance = e2.data?.id;
  return fe`<tr class=${open ? "open" : ""}>
    <td class="first" data-label="Event"><button type="button" class="quiet" aria-expanded=${open ? "true" : "false"} aria-controls=${id} onClick=${() => set(!open)}>${open ? "▾" : "▸"} ${e2.type}${instance !== void 0 && fe` <bdi>${String(instance)}</bdi>`}</button></td>
    <td class="wide most" data-label="Data"><span class="clip"><code>${brief(e2)}</code></span></td>
    <td class="num" data-label="Committed"><${When} at=${e2.timestamp} now=${now} /></td></tr>
  ${open && fe`<tr class="detail"><td colspan="3" class="first" id=${id}><${Inside} e=${e2} now=${now} /></td></tr>`}`;
}
var most = 50;
async function deliveriesOf(e2, signal) {
  let { data: rows, next } = await call("GET", `/event/${part(e2.position || e2.id)}/delivery/`, { query: { limit: most }, signal });
  for (let i2 = 0; i2 < 5 && next && rows.length < most; i2++) {
    const more2 = await call("GET", next, { signal });
    rows = rows.concat(more2.data);
    next = more2.next;
  }
  return { rows, more: next !== null };
}
function Inside({ e: e2, now }) {
  const { data, error, reload } = useLoad((signal) => deliveriesOf(e2, signal), [e2.id]);
  const rows = data?.rows || [];
  return fe`<div class="inside">
    <div><p class="label">Where it went</p><${Failure} error=${error} again=${reload} />
      ${!data && !error && fe`<${Loading} />`}
      ${data && rows.length === 0 && fe`<p class="muted">Nowhere: no subscription got it.</p>`}
      ${rows.length > 0 && fe`<${DeliveryTable} rows=${rows} now=${now} subscription=${true} />`}${data?.more && fe`<p class="hint">There are more.</p>`}</div>
    <div><p class="label">What it says</p><${Json} value=${e2} label="The event" /></div>
    <p class="sub"><span>${stamp(e2.timestamp)}</span><${Id}>${e2.id}<//><${Id}>${e2.position || ""}<//></p></div>`;
}

// script/pages/login.js
function Login({ Logo: Logo2, enter, ended: ended2 }) {
  useTitle("Sign in");
  const [token2, set] = G(take);
  const [wrong2, fail] = G("");
  const [busy, setBusy] = G(false);
  const field = Q(null);
  J(() => {
    field.current?.focus();
    return onToken(() => {
      set(take());
      fail("");
      field.current?.focus();
    });
  }, []);
  const submit = async (e2) => {
    e2.preventDefault();
    if (busy) return;
    if (!token2.trim()) {
      fail("Give a token.");
      field.current.focus();
      return;
    }
    setBusy(true);
    fail("");
    try {
      enter((await post("/session", { token: token2.trim() })).data);
    } catch (x2) {
      fail(x2.status === 401 ? "This token is not known, or has ended." : complaint(x2));
      setBusy(false);
      field.current?.focus();
      field.current?.select();
    }
  };
  return fe`<main class="alone"><form class="login" onSubmit=${submit}>
    <${Logo2} /><h1>rowhook</h1>
    <input type="text" name="username" autocomplete="username" value="rowhook" hidden />
    <p class="lead" role="status">${ended2 === true ? "Your session has ended. Sign in again, and you are back where you were." : ended2 || "Committed rows, signed hooks."}</p>
    <div class=${"field" + (wrong2 ? " wrong" : "")}><label for="token">Token</label>
      <input ref=${field} id="token" type="password" autocomplete="current-password" value=${token2} onInput=${(e2) => set(e2.target.value)}
        aria-invalid=${wrong2 ? "true" : void 0} aria-describedby=${wrong2 ? "token-wrong token-hint" : "token-hint"} />
      <p class="mistake" id="token-wrong" role="alert">${wrong2}</p>
      <p class="hint" id="token-hint">One of <code>api.tokens</code> in the config, or one made by <code>rowhook token create</code>. A customer’s token shows that customer’s own subscriptions.</p></div>
    <button type="submit" class="primary" aria-disabled=${busy ? "true" : void 0}>Sign in</button>
  </form></main>`;
}

// script/pages/compare.js
var nothing = { rows: 0, different: 0, fields: [], not_found: [], not_instances: [], failed: [], from_api: [], of: 0 };
var shown = 3;
function add(a2, b2) {
  const fields = new Map(a2.fields.map((f2) => [f2.path, f2]));
  for (const f2 of b2.fields) {
    const before = fields.get(f2.path);
    fields.set(f2.path, before ? { ...before, rows: before.rows + f2.rows, hint: before.hint || f2.hint, examples: [...before.examples, ...f2.examples].slice(0, shown) } : { ...f2, examples: f2.examples.slice(0, shown) });
  }
  const all = { fields: [...fields.values()].sort((x2, y2) => x2.path < y2.path ? -1 : 1), from_api: b2.from_api, rows: a2.rows + b2.rows, different: a2.different + b2.different };
  for (const list of ["not_found", "not_instances", "failed"]) all[list] = [...a2[list], ...b2[list]];
  return { ...all, of: looked(all) + b2.rest.length };
}
var looked = (f2) => f2.rows + f2.not_found.length + f2.not_instances.length + f2.failed.length;
var json = (v2, side) => side in v2 ? fe`<code>${typeof v2[side] === "string" && v2[side].startsWith("… ") ? v2[side] : JSON.stringify(v2[side])}</code>` : fe`<span class="muted">no such field</span>`;
var few = (keys) => keys.slice(0, 10).join("; ") + (keys.length > 10 ? `; … ${keys.length} in all` : "");
function Compare({ r: r2, url }) {
  const [ids, setIds] = G("");
  const [at, setAt] = G("");
  const [size, setSize] = G("20");
  const [found, tell2] = G(null);
  const [rest, leave] = G([]);
  const [error, fail] = G(null);
  const [busy, work] = G(false);
  const abort = Q(null);
  J(() => () => abort.current?.abort(), []);
  const ask2 = async (first, before) => {
    abort.current?.abort();
    const mine = abort.current = new AbortController();
    fail(null);
    work(true);
    let body = first;
    let all = before;
    try {
      do {
        const { data } = await call("POST", url + "compare", { body: { ...body, within: "1s", ...at.trim() && { at: at.trim() } }, signal: mine.signal, exact: true });
        all = add(all, data);
        tell2(all);
        leave(data.rest);
        body = { ids: data.rest };
      } while (body.ids.length);
    } catch (e2) {
      if (mine !== abort.current || e2.name === "AbortError") return;
      fail(e2);
    }
    work(false);
  };
  const run = (e2) => {
    e2.preventDefault();
    const list = ids.split(r2.key.length > 1 ? /\s+/ : /[,\s]+/).filter(Boolean);
    tell2(null);
    leave([]);
    ask2(list.length ? { ids: list } : { limit: Number(size) }, nothing);
  };
  const stop = () => {
    abort.current.abort();
    work(false);
  };
  if (!r2.compare) return fe`<section><h2>Compare with the API</h2><p class="muted">To compare bodies with what your API returns, name it in the config: <code>app.url</code>, and <code>path</code> of the resource.</p></section>`;
  return fe`<section><h2>Compare with the API</h2>
    <p class="muted">Asks your API for <code>${r2.path}</code>, row by row, and shows where the body that runs differs. It changes nothing.</p><br />
    <form class="form" onSubmit=${run}>
      <${Input} label="Rows" placeholder=${r2.key.length > 1 ? "7,1 7,2" : "42, 43"} hint=${r2.key.length > 1 ? "Keys with spaces between. Empty: a sample." : "Empty: a sample."} value=${ids} set=${setIds} wrong=${wrong(error, "ids")} />
      <${Select} label="Sample" value=${size} set=${setSize} options=${[["20", "20 rows"], ["50", "50 rows"], ["100", "100 rows"]]} />
      <${Input} label="Instance is at" placeholder="data" hint="Where it is in the answer, if not the whole." value=${at} set=${setAt} wrong=${wrong(error, "at")} />
      <div class="actions"><button type="submit" aria-disabled=${busy ? "true" : void 0} disabled=${busy}>Compare</button>${busy && fe`<button type="button" onClick=${stop}>Stop</button>`}</div>
    </form><br />
    ${busy && fe`<div class="progress"><progress max=${found?.of || 1} value=${found ? looked(found) : void 0} aria-label="Rows compared"></progress><p class="muted">${found ? `${looked(found)} of ${many(found.of, "row")}` : "Asking your API, row by row…"}</p></div>`}
    ${error && !wrong(error, "ids") && !wrong(error, "at") && fe`<${Failure} error=${error} />`}
    <div aria-live="polite">${found && !busy && fe`<${Verdict} of=${found} left=${rest.length} />`}</div>
    ${!busy && rest.length > 0 && fe`<p><button type="button" onClick=${() => ask2({ ids: rest }, found)}>Go on with ${many(rest.length, "row")}</button></p>`}
    ${found && fe`<${Found} of=${found} />`}</section>`;
}
var wrong = (e2, field) => e2?.status === 422 && e2.errors.find((x2) => x2.field?.startsWith(field))?.detail || "";
function Verdict({ of, left }) {
  const [state, word] = of.different ? ["failed", "different"] : of.failed.length ? ["failed", "not compared"] : of.rows ? ["done", "equal"] : ["warning", "nothing to compare"];
  return fe`<p><${State} of=${state} word=${word} /> ${many(of.rows, "row")} compared, ${of.different} different${left ? `, ${left} not reached` : ""}.</p>`;
}
function Found({ of }) {
  return fe`${of.fields.map((f2) => fe`<div class="callout differs" key=${f2.path}><p><strong><code>${f2.path}</code></strong> <span class="muted">differs in ${f2.rows} of ${many(of.rows, "row")}</span></p>
      ${f2.hint && fe`<p>Hint: ${f2.hint}</p>`}
      <table class="rows"><caption class="off">${f2.path}</caption><thead><tr><th scope="col">Row</th><th scope="col" class="wide">The hook says</th><th scope="col" class="wide">Your API says</th></tr></thead>
      <tbody>${f2.examples.map((e2) => fe`<tr><td data-label="Row" class="first"><bdi>${e2.key}</bdi>${e2.path !== f2.path && fe`<span class="under">${e2.path}</span>`}</td><td data-label="The hook says" class="wide">${json(e2, "ours")}</td><td data-label="Your API says" class="wide">${json(e2, "api")}</td></tr>`)}</tbody></table></div>`)}
    ${of.failed.length > 0 && fe`<div class="callout warn-box"><p>${many(of.failed.length, "row")} could not be compared:</p>${of.failed.slice(0, 5).map((x2) => fe`<p><bdi>${x2.key}</bdi>: ${x2.error}</p>`)}</div>`}
    ${of.not_found.length > 0 && fe`<p class="callout">Your API does not know ${few(of.not_found)}: not there, or not visible to the login of <code>app.headers</code>.</p>`}
    ${of.not_instances.length > 0 && fe`<p class="callout">No instances by the mapping, so nothing is sent for them: ${few(of.not_instances)}. <code>where</code> does not hold, or <code>delete_when</code> does.</p>`}
    ${of.from_api?.length > 0 && fe`<p class="hint">Equal by themselves, since they are taken from the API: ${of.from_api.join(", ")}.</p>`}`;
}

// script/pages/resources.js
function Resources() {
  useTitle("Resources");
  const { data, error, loading, reload } = useLoad(async (signal) => call("GET", "/resource/", { signal }), []);
  const [text2, set] = G("");
  const rows = (data?.data || []).filter((r2) => !text2 || r2.name.includes(text2.toLowerCase()) || r2.table.includes(text2.toLowerCase()));
  return fe`<${Head} title="Resources" sub="Which rows become which events, and what they say." />
    ${data?.data.length > 8 && fe`<div class="bar"><input type="search" class="search" data-search aria-label="Name or table" placeholder="Name or table" value=${text2} onInput=${(e2) => set(e2.target.value)} /></div>`}
    <${Failure} error=${error} again=${reload} />${!data && loading && fe`<${Loading} />`}
    ${data && data.data.length === 0 && fe`<${Empty} title="No resources are mapped"><p>This prints a config to begin with, made from the tables of your database:</p><${Code} label="The command" text="rowhook init --database-url $DATABASE_URL" /><//>`}
    ${data && data.data.length > 0 && rows.length === 0 && fe`<p class="muted">None is called so.</p>`}
    ${rows.length > 0 && fe`<${Table} label="Resources" rows=${rows} id=${(r2) => r2.name} columns=${[
    { name: "Resource", cell: (r2) => fe`<a href=${`${root}/resources/${encodeURIComponent(r2.name)}`}>${r2.name}</a>` },
    { name: "Table", cell: (r2) => fe`<code>${r2.table}</code>` },
    { name: "State", wide: true, cell: (r2) => fe`<${State} of=${r2.fit ? "fits" : "does not fit"} />${r2.reason && fe`<span class="under">${r2.reason}</span>`}` },
    { name: "Account", cell: (r2) => r2.account ? fe`<code>${r2.account}</code>` : fe`<span class="muted">none</span>` },
    { name: "Events", num: true, cell: (r2) => count(r2.events.length) }
  ]} />`}`;
}
function Resource({ name }) {
  useTitle(name);
  const url = `/resource/${part(name)}/`;
  const { data: r2, error, reload } = useLoad(async (signal) => (await get(url, null, signal)).data, [name]);
  const first = Q(void 0);
  if (first.current === void 0) {
    first.current = call("POST", url + "preview", { body: { event: name + ".update" }, exact: true });
    first.current.catch(() => {
    });
  }
  if (!r2) {
    return error?.status === 404 ? fe`<${Head} title="No such resource" /><${Empty} title="It is not mapped"><p>The config has no resource of this name. <a href=${root + "/resources"}>All resources</a></p><//>` : fe`<${Head} title=${name} />${error ? fe`<${Failure} error=${error} again=${reload} />` : fe`<${Loading} />`}`;
  }
  return fe`<${Head} title=${r2.name} crumbs=${fe`<a href=${root + "/resources"}>Resources</a>`} sub=${fe`<${State} of=${r2.fit ? "fits" : "does not fit"} /><code>${r2.table}</code><span>key ${r2.key.join(", ")}</span><span>${r2.account ? fe`account <code>${r2.account}</code>` : "of no account"}</span>`} />
    ${r2.reason && fe`<div class="callout warn-box"><p>${r2.reason}</p></div>`}
    <${Playground} r=${r2} url=${url} first=${first} />
    <section><h2>Events</h2><${Table} label="Events" rows=${r2.events} id=${(e2) => e2.name} columns=${[
    { name: "Event", cell: (e2) => fe`<code>${e2.name}</code>` },
    { name: "For whom", wide: true, cell: (e2) => e2.admin_only ? fe`the admin only<span class="under">${e2.reason || ""}</span>` : "everybody" }
  ]} /></section>
    ${(r2.relations?.length > 0 || r2.from_api?.length > 0) && fe`<section><h2>What else it is made of</h2><${Facts} of=${[["Relations", r2.relations?.length ? r2.relations.join(", ") : void 0], ["From the API", r2.from_api?.length ? r2.from_api.join(", ") : void 0]]} /></section>`}
    <${Compare} r=${r2} url=${url} />`;
}
var text = (v2) => v2 === void 0 ? "" : typeof v2 === "string" ? v2 : JSON.stringify(v2, null, 1);
var events = (r2) => {
  const names = r2.events.map((e2) => e2.name).filter((n2) => !n2.endsWith(".truncate"));
  return names.length ? names : ["create", "update", "delete"].map((n2) => `${r2.name}.${n2}`);
};
var Diff = ({ of }) => fe`<div class="diff">${of.map((d2) => fe`<div><strong>${d2.path}</strong><span>${"was" in d2 ? fe`<del>${text(d2.was)}</del>` : ""}${"is" in d2 ? fe`<ins>${text(d2.is)}</ins>` : ""}</span></div>`)}</div>`;
var Unfiled = () => fe`<div><p>This rowhook runs without a config file, as <code>rowhook dev</code> does: the resource is what its table gives, and there is no mapping to change here.
  This prints a config to begin with, made from the tables of your database:</p><br /><${Code} label="The command" text="rowhook init --database-url $DATABASE_URL" /></div>`;
function Playground({ r: r2, url, first }) {
  const filed = r2.yaml !== void 0;
  const [yaml, setYaml] = G(r2.yaml);
  J(() => setYaml(r2.yaml), [r2.yaml]);
  const [id, setId] = G("");
  const [event, setEvent] = G(`${r2.name}.update`);
  const changed = yaml !== r2.yaml;
  const asked2 = useSettled(JSON.stringify({ yaml, id, event }), 350);
  const { data: last, error, loading } = useLoad(async (signal) => {
    const a2 = JSON.parse(asked2);
    const body = { event: a2.event };
    if (a2.id.trim()) body.id = a2.id.trim();
    if (a2.yaml !== r2.yaml) body.mapping = a2.yaml;
    const begun = first.current;
    first.current = null;
    if (begun && !body.id && !body.mapping && body.event === r2.name + ".update") return (await begun).data;
    return (await call("POST", url + "preview", { body, signal, exact: true })).data;
  }, [asked2]);
  const data = error ? null : last;
  const problems = changed && last?.problems || [];
  const area = Q(null);
  const jump = (p2) => {
    const el = area.current?.querySelector("textarea");
    if (!el) return;
    const before = yaml.split("\n").slice(0, p2.line - 1).join("\n").length + (p2.line > 1 ? 1 : 0);
    el.focus();
    el.setSelectionRange(before + p2.column - 1, before + p2.column);
  };
  const notes = data?.changed?.notes || data?.now?.notes || [];
  const idWrong = error?.status === 404 ? error.message : error?.status === 422 ? error.errors[0]?.detail || error.message : "";
  return fe`<section><h2>Playground</h2>
    <p class="sub">${filed ? "Change the mapping: what it makes of a live row stands beside it at once. Nothing is stored or sent." : "What the mapping makes of a live row. Nothing is stored or sent."}</p><br />
    <div class="two">
      ${filed ? fe`<div ref=${area}>
        <div class="field"><label for="yaml">Mapping${r2.line ? `, line ${r2.line} of the config` : ""}</label>
          <textarea id="yaml" rows=${Math.min(Math.max(r2.yaml.split("\n").length + 1, 8), 26)} value=${yaml} spellcheck=${false} aria-invalid=${problems.length ? "true" : void 0} aria-describedby="problems" onInput=${(e2) => setYaml(e2.target.value)}></textarea></div>
        <ul class="problems" id="problems" aria-live="polite">${problems.map((p2) => fe`<li><button type="button" class="quiet" onClick=${() => jump(p2)}>Line ${p2.line}, column ${p2.column}: ${p2.what}</button>${p2.mend && fe`<p class="hint">${p2.mend}</p>`}</li>`)}</ul>
        ${changed && fe`<div class="actions"><button type="button" onClick=${() => setYaml(r2.yaml)}>Back to the config</button><span class="hint">To keep it, put it into the config file, then reload.</span></div>`}
      </div>` : fe`<${Unfiled} />`}
      <div>
        <div class="form">
          <${Input} label="Row" hint=${data?.id ? fe`Shown: <bdi>${data.id}</bdi>` : "Empty: the one with the highest key."} value=${id} set=${setId} placeholder="42" wrong=${idWrong} />
          <${Select} label="Event" value=${event} set=${setEvent} options=${events(r2)} />
        </div><br />
        <div aria-live="polite" class="off">${data && changed && !data.problems?.length ? many(data.diff?.length || 0, "difference") : ""}</div>
        ${error && !idWrong && fe`<${Failure} error=${error} />`}
        ${!data && !error && loading && fe`<${Loading} />`}
        ${notes.map((n2) => fe`<p class="callout">${n2}</p>`)}
        ${data?.masked?.length > 0 && fe`<p class="callout">The mapping as it runs sends nothing of ${data.masked.join(", ")}: placeholders stand for what is in there.</p>`}
        ${data && changed && !data.problems?.length && fe`<p class="label">${data.diff?.length ? "What changes" : "Nothing changes"}</p>${data.diff?.length > 0 && fe`<${Diff} of=${data.diff} /><br />`}`}
        ${data?.changed?.body && fe`<p class="label">The body it would make</p><${Json} value=${data.changed.body} label="The changed body" /><br />`}
        ${data?.now?.body && !data.changed && fe`<p class="label">The body as it is sent now</p><${Json} value=${data.now.body} label="The body now" />`}
        ${data && !data.now && !data.changed && !data.problems?.length && !notes.length && fe`<p class="muted">There is no row yet.</p>`}
      </div>
    </div></section>`;
}

// script/pages/subscriptionform.js
var lines = (text2) => text2.split("\n").map((l2) => l2.trim()).filter(Boolean);
var pretty = (value) => value && Object.keys(value).length ? JSON.stringify(value, null, 2) : "";
var local = (iso) => {
  if (!iso) return "";
  const t2 = new Date(iso);
  return new Date(t2.getTime() - t2.getTimezoneOffset() * 6e4).toISOString().slice(0, 16);
};
function fieldsOf(s2) {
  const d2 = s2.delivery || {};
  const r2 = s2.request || {};
  const { format = "", signature = "", encoding = "", method = "", compression = "", ...rest } = r2;
  return {
    events: s2.events || [],
    target_url: s2.target_url || "",
    feed: s2.target_url === null,
    name: s2.name || "",
    description: s2.description || "",
    account: s2.account || "",
    resource_id: s2.resource_id || "",
    filter: s2.filter || "",
    ignore_sources: (s2.ignore_sources || []).join("\n"),
    expires_at: local(s2.expires_at),
    shadow: s2.state === "shadow",
    verification: s2.verification || "none",
    notify_end: !!s2.notify_end,
    metadata: pretty(s2.metadata),
    secret: "",
    timeout: d2.timeout || "",
    retries: Array.isArray(d2.retries) ? d2.retries.join(", ") : d2.retries === void 0 || d2.retries === null ? "" : String(d2.retries),
    ordering: d2.ordering || "",
    max_in_flight: d2.max_in_flight ? String(d2.max_in_flight) : "",
    rate_limit: d2.rate_limit || "",
    debounce: d2.debounce || "",
    max_body: d2.max_body || "",
    fallback_url: d2.fallback_url || "",
    batch: !!d2.batch,
    batch_max: d2.batch?.max ? String(d2.batch.max) : "",
    batch_bytes: d2.batch?.bytes || "",
    batch_wait: d2.batch?.wait || "",
    format,
    signature,
    encoding,
    method,
    compression,
    request: pretty(rest)
  };
}
var Unreadable = class extends Error {
  constructor(field, text2) {
    super(text2);
    this.errors = [{ field, detail: text2 }];
  }
};
function object(field, text2) {
  if (!text2.trim()) return {};
  let v2;
  try {
    v2 = JSON.parse(text2);
  } catch (e2) {
    throw new Unreadable(field, `this is no JSON: ${e2.message}`);
  }
  if (v2 === null || typeof v2 !== "object" || Array.isArray(v2)) throw new Unreadable(field, 'an object is wanted: {"name": "value"}');
  return v2;
}
var number = (text2) => /^\d+$/.test(text2.trim()) ? Number(text2) : text2.trim();
function bodyOf(f2) {
  const given = (pairs) => Object.fromEntries(Object.entries(pairs).filter(([, v2]) => v2 !== "" && v2 !== void 0 && v2 !== null));
  const batch = f2.batch ? given({ max: f2.batch_max && number(f2.batch_max), bytes: f2.batch_bytes, wait: f2.batch_wait }) : void 0;
  const retries = f2.retries.trim() === "" ? void 0 : /^\d+$/.test(f2.retries.trim()) ? Number(f2.retries) : f2.retries.split(/[,\s]+/).filter(Boolean);
  const delivery = given({
    timeout: f2.timeout,
    retries,
    ordering: f2.ordering,
    max_in_flight: f2.max_in_flight && number(f2.max_in_flight),
    rate_limit: f2.rate_limit,
    debounce: f2.debounce,
    max_body: f2.max_body,
    fallback_url: f2.fallback_url,
    batch
  });
  const request = { ...given({ format: f2.format, signature: f2.signature, encoding: f2.encoding, method: f2.method, compression: f2.compression }), ...object("request", f2.request) };
  return {
    events: f2.events,
    target_url: f2.feed ? null : f2.target_url.trim(),
    name: f2.name,
    description: f2.description,
    resource_id: f2.resource_id.trim() || null,
    filter: f2.filter.trim() || null,
    ignore_sources: lines(f2.ignore_sources),
    expires_at: f2.expires_at ? new Date(f2.expires_at).toISOString() : null,
    verification: f2.verification,
    notify_end: f2.notify_end,
    metadata: object("metadata", f2.metadata),
    delivery,
    request
  };
}
function patchOf(before, after) {
  const patch = {};
  for (const name of Object.keys(after)) {
    const [a2, b2] = [before[name], after[name]];
    if (JSON.stringify(a2) === JSON.stringify(b2)) continue;
    if (name === "delivery" || name === "request" || name === "metadata") {
      const inner = { ...b2 };
      for (const key of Object.keys(a2 || {})) if (!(key in b2)) inner[key] = null;
      if (inner.batch && a2?.batch) {
        for (const key of Object.keys(a2.batch)) if (!(key in inner.batch)) inner.batch = { ...inner.batch, [key]: null };
      }
      patch[name] = inner;
    } else patch[name] = b2;
  }
  return patch;
}
function Events2({ value, set, types, wrong: wrong2 }) {
  const id = useId("events");
  const [text2, write] = G("");
  const add2 = (given) => {
    const names = given.split(/[,\s]+/).filter(Boolean);
    if (names.length) set([.../* @__PURE__ */ new Set([...value, ...names])]);
    write("");
  };
  const resources = [...new Set((types || []).filter((t2) => !t2.admin_only).map((t2) => t2.resource))];
  const options = ["*", ...resources.map((r2) => r2 + ".*"), ...(types || []).map((t2) => t2.name)].filter((n2) => !value.includes(n2));
  const about = (wrong2 ? id + "-wrong " : "") + id + "-hint";
  return fe`<div class=${"field span" + (wrong2 ? " wrong" : "")}>
    <label for=${id}>Events</label>
    ${value.length > 0 && fe`<ul class="chips" aria-label="Chosen events">${value.map((name) => fe`<li class="chip" key=${name}>${name}<button type="button" class="quiet" aria-label=${`Remove ${name}`}
      onClick=${() => set(value.filter((v2) => v2 !== name))}>×</button></li>`)}</ul>`}
    <input id=${id} type="text" list=${id + "-list"} value=${text2} autocomplete="off" spellcheck=${false} placeholder=${value.length ? "One more" : "contact.*"} aria-describedby=${about} aria-invalid=${wrong2 ? "true" : void 0}
      onInput=${(e2) => e2.inputType === "insertReplacementText" || e2.inputType === void 0 && options.includes(e2.target.value) ? add2(e2.target.value) : write(e2.target.value)}
      onKeyDown=${(e2) => {
    if ((e2.key === "Enter" || e2.key === ",") && text2.trim()) {
      e2.preventDefault();
      add2(text2);
    }
  }} onBlur=${() => text2.trim() && add2(text2)} />
    <datalist id=${id + "-list"}>${options.slice(0, 500).map((o2) => fe`<option value=${o2}></option>`)}</datalist>
    ${wrong2 && fe`<p class="mistake" id=${id + "-wrong"}>${wrong2}</p>`}
    <p class="hint" id=${id + "-hint"}>Names such as <code>contact.update</code>, <code>contact.*</code> for all of a resource, <code>*</code> for all. Enter adds one.</p>
  </div>`;
}
function placeOf(field) {
  const found = /^(delivery|request)\.(\w+)(?:[.[](\w+))?/.exec(field);
  if (!found) {
    if (field === "event") return "events";
    if (field === "state") return "shadow";
    return field.replace(/[.[].*$/, "");
  }
  const [, block, name, inner] = found;
  if (block === "delivery") return name === "batch" ? ["max", "bytes", "wait"].includes(inner) ? "batch_" + inner : "batch_max" : name;
  return ["format", "signature", "encoding", "method", "compression"].includes(name) ? name : "request";
}
var inForm = (detail) => detail.replace("event-type/ lists them", "choose one of those that the field offers as you write");
var more = {
  what: ["resource_id", "filter", "ignore_sources", "expires_at", "shadow"],
  how: ["timeout", "retries", "ordering", "max_in_flight", "rate_limit", "debounce", "max_body", "fallback_url", "batch_max", "batch_bytes", "batch_wait"],
  request: ["format", "signature", "encoding", "method", "compression", "request", "verification", "notify_end", "secret"],
  about: ["description", "metadata"]
};
function SubscriptionForm({ id, admin }) {
  useTitle(id ? "Edit subscription" : "New subscription");
  const [was, setWas] = G(null);
  const [f2, setF] = G(id ? null : fieldsOf({}));
  const [types, setTypes] = G([]);
  const [error, fail] = G(null);
  const [busy, setBusy] = G(false);
  const [made, setMade] = G(null);
  const form = Q(null);
  const key = Q({});
  const read = async () => {
    try {
      const { data, headers } = await call("GET", `/subscription/${part(id)}/`);
      setWas({ s: data, tag: headers.get("ETag") });
      setF(fieldsOf(data));
      fail(null);
    } catch (e2) {
      fail(e2);
    }
  };
  J(() => {
    get("/event-type/").then((a2) => setTypes(a2.data), () => {
    });
    if (id) read();
  }, []);
  J(() => {
    if (error?.errors?.length) form.current?.querySelector('[aria-invalid="true"]')?.focus();
  }, [error]);
  if (!f2) return fe`<${Head} title="Edit" />${error ? fe`<${Failure} error=${error} again=${read} />` : fe`<${Loading} />`}`;
  const set = (name) => (value) => setF((old) => ({ ...old, [name]: value }));
  const wrongs = {};
  const others = [];
  for (const e2 of error?.errors || []) {
    const place = placeOf(e2.field);
    if (place in f2) wrongs[place] = wrongs[place] ? `${wrongs[place]}. ${inForm(e2.detail)}` : inForm(e2.detail);
    else others.push(e2);
  }
  const input = (name, label, hint, rest) => fe`<${Input} label=${label} hint=${hint} value=${f2[name]} set=${set(name)} wrong=${wrongs[name]} ...${rest} />`;
  const select = (name, label, options, hint) => fe`<${Select} label=${label} hint=${hint} value=${f2[name]} set=${set(name)} options=${options} wrong=${wrongs[name]} />`;
  const area = (name, label, hint, rest) => fe`<${Area} label=${label} hint=${hint} value=${f2[name]} set=${set(name)} wrong=${wrongs[name]} wide=${true} ...${rest} />`;
  const opened = (group2) => more[group2].some((n2) => wrongs[n2]) || id && more[group2].some((n2) => f2[n2] && f2[n2] !== "none");
  const submit = async (e2) => {
    e2.preventDefault();
    if (busy) return;
    setBusy(true);
    try {
      const body = bodyOf(f2);
      if (id) {
        const patch = patchOf(bodyOf(fieldsOf(was.s)), body);
        if (f2.shadow !== (was.s.state === "shadow")) patch.state = f2.shadow ? "shadow" : "active";
        if (f2.secret) patch.secret = f2.secret;
        if (Object.keys(patch).length === 0) {
          say("Nothing has changed.");
        } else {
          await call("PATCH", `/subscription/${part(id)}/`, { body: patch, match: was.tag });
          say("The subscription is changed.");
        }
        go(`/subscriptions/${id}`);
        return;
      }
      for (const name of ["resource_id", "filter", "expires_at"]) if (body[name] === null) delete body[name];
      if (admin && f2.account.trim()) body.account = f2.account.trim();
      if (f2.shadow) body.state = "shadow";
      if (f2.secret) body.secret = f2.secret;
      const said = JSON.stringify(body);
      if (key.current.said !== said) key.current = { said, key: Array.from(crypto.getRandomValues(new Uint8Array(16)), (b2) => b2.toString(16).padStart(2, "0")).join("") };
      const { data } = await call("POST", "/subscription/", { body, headers: { "Idempotency-Key": key.current.key } });
      if (data.secret) setMade(data);
      else {
        say("Its lease is renewed: there was one like this already.");
        go(`/subscriptions/${data.id}`);
      }
    } catch (x2) {
      fail(x2);
      setBusy(false);
    }
  };
  const top = error && (others.length > 0 || !error.errors?.length) ? { ...error, errors: others, message: error.message } : null;
  const group = (name, title, sub, children) => fe`<details class="more" open=${opened(name) || void 0}><summary>${title}<span>${sub}</span></summary><div class="form">${children}</div></details>`;
  return fe`<${Head} title=${id ? fe`<bdi class="clip">Edit ${was.s.name || "subscription"}</bdi>` : "New subscription"} crumbs=${fe`<a href=${root + "/subscriptions"}>Subscriptions</a>${id && fe` / <a href=${`${root}/subscriptions/${id}`}><bdi>${called(was.s)}</bdi></a>`}`} />
  <form ref=${form} onSubmit=${submit} novalidate>
    ${top && fe`<${Failure} error=${Object.assign(error, { errors: others })} />`}
    ${error?.status === 412 && fe`<p><button type="button" onClick=${read}>Read it again</button></p>`}
    <div class="form">
      <${Events2} value=${f2.events} set=${set("events")} types=${types} wrong=${wrongs.events} />
      ${!f2.feed && input("target_url", "Target URL", "Where events are sent: https, at a public address, unless the config allows more.", { wide: true, type: "text", placeholder: "https://example.com/hooks" })}
      <div class="span"><${Check} label="No target: a feed" value=${f2.feed} set=${set("feed")} hint="Events are kept to be read over the API, and sent to nobody." /></div>
      ${input("name", "Name", "For people.")}
      ${admin && !id && input("account", "Account", "The customer whom it belongs to. Empty: the events of all.")}
    </div>
    <br />
    ${group("what", "Which events", "filter, one instance, a lease", fe`
      ${area("filter", "Filter", fe`An expression that has to be true: <code>data.stage == "won" && "stage" in previous</code>`, { rows: 2 })}
      ${input("resource_id", "Only this instance", "Its id: 42")}
      ${input("expires_at", "Ends at", "A lease. Empty: it does not end.", { type: "datetime-local" })}
      ${area("ignore_sources", "Ignore sources", "One in a line: events of transactions that the application marked so are not sent.", { rows: 2 })}
      <div class="span"><${Check} label="Shadow" value=${f2.shadow} set=${set("shadow")} hint="Everything happens but the requests: to see what it would get." />${wrongs.shadow && fe`<p class="mistake">${wrongs.shadow}</p>`}</div>`)}
    ${group("how", "Delivery", "timeout, retries, order, limits, batches", fe`
      ${input("timeout", "Timeout", "Such as 15s.")}
      ${input("retries", "Retries", "Waits such as 5s, 5m, 2h; or how many of the config’s.")}
      ${select("ordering", "Order", [["", "as the config has it"], ["resource", "in order for each instance"], ["none", "none: whatever is ready"]])}
      ${input("max_in_flight", "Requests at once", "1 to 1000.")}
      ${input("rate_limit", "Rate limit", "10/s, 600/m or 5000/h.")}
      ${input("debounce", "Debounce", "Changes of an instance are gathered so long: 15s.")}
      ${input("max_body", "Largest body", "Such as 256KiB; larger ones come without data.")}
      ${input("fallback_url", "Fallback URL", "Where an event goes whose retries have all failed.", { wide: true })}
      <div class="span"><${Check} label="Several events in one request" value=${f2.batch} set=${set("batch")} /></div>
      ${f2.batch && fe`${input("batch_max", "Events of a request", "1 to 1000; 100 if empty.")}${input("batch_bytes", "Bytes of a request", "256KiB if empty.")}${input("batch_wait", "Wait for others", "1s if empty.")}`}`)}
    ${group("request", "Request", "format, signature, headers, log-in, verification", fe`
      ${select("format", "Format", [["", "standard"], "rest_hooks", "representation", "thin", "cloudevents"])}
      ${select("signature", "Signature", [["", "as the format has it"], "standard", "standard_v1a", "rest_hooks", "github", "stripe", "slack", "twilio", "vonage", "none"])}
      ${select("encoding", "Encoding", [["", "json"], "form"])}
      ${select("method", "Method", [["", "POST"], "PUT", "GET"])}
      ${select("compression", "Compression", [["", "none"], "gzip"])}
      ${select("verification", "Verification", ["none", "secret", "challenge"], "Asks the target whether it wants what is sent, before anything is.")}
      ${area("request", "Headers, log-in and custom data", fe`JSON: <code>${'{"headers": {"x-tenant": "acme"}, "auth": {"type": "bearer", "token": "…"}}'}</code>. <code>***</code> is the value that is stored.`, { rows: 4 })}
      ${input("secret", "Secret", id ? "A new one signs from now on alone. To keep the old one for a while, rotate it instead." : "whsec_ and base64. Empty: rowhook makes one.", { wide: true, type: "password" })}
      <div class="span"><${Check} label="Tell the target when the subscription is over" value=${f2.notify_end} set=${set("notify_end")} /></div>`)}
    ${group("about", "Description and metadata", "for people and programs", fe`
      ${input("description", "Description", "", { wide: true })}${area("metadata", "Metadata", fe`JSON: <code>${'{"plan": "pro"}'}</code>`, { rows: 3 })}`)}
    <div class="foot"><button type="submit" class="primary" aria-disabled=${busy ? "true" : void 0}>${id ? "Save" : "Create"}</button><a class="button plain" href=${id ? `${root}/subscriptions/${id}` : root + "/subscriptions"}>Cancel</a></div>
  </form>
  ${made && fe`<${Secret} secret=${made.secret} close=${() => go(`/subscriptions/${made.id}`)}>
    <p>It signs what is sent to <bdi>${made.target_url || "nobody: a feed"}</bdi>. Give it to the receiver: rowhook does not show it again. A new one comes by rotating it.</p><//>`}`;
}

// script/pages/system.js
function System({ session }) {
  useTitle("System");
  const now = useNow();
  const has = (f2) => session.features.includes(f2);
  const status = useLoad(async (signal) => has("status") ? (await get("/status", null, signal)).data : null, [], { every: 5e3 });
  const s2 = status.data;
  return fe`<${Head} title="System" sub=${fe`<span>rowhook ${session.version}</span>${s2 && fe`<${State} of=${s2.state} /><span>${s2.role}</span><span>${s2.process}</span><span>has run <${For} since=${s2.started_at} now=${now} /></span>`}`} />
    ${has("system") && fe`<${Checks} now=${now} />`}
    ${has("status") && fe`<${Failure} error=${status.error} again=${status.reload} />`}
    ${s2 && fe`
      <section><h2>Database and slot</h2><${Facts} of=${[
    s2.database && ["Database", s2.database.name],
    s2.database && ["Postgres", s2.database.server_version],
    s2.database?.environment ? ["Environment", s2.database.environment] : null,
    s2.database && ["System, timeline", `${s2.database.system_identifier}, ${s2.database.timeline}`],
    s2.slot && ["Slot", fe`${s2.slot.name} <${State} of=${s2.slot.active ? "active" : "disabled"} word=${s2.slot.active ? "active" : "not in use"} />`],
    s2.slot && ["WAL", s2.slot.wal_status],
    s2.slot && ["Behind", bytes(s2.slot.lag_bytes)],
    s2.stream && ["Lag", seconds(s2.stream.lag_seconds)],
    s2.slot && ["WAL kept for the slot", bytes(s2.slot.retained_bytes)],
    s2.slot && ["Until it is lost", s2.slot.safe_wal_bytes === null || s2.slot.safe_wal_bytes === void 0 ? "without a limit" : bytes(s2.slot.safe_wal_bytes)],
    s2.slot && ["Acknowledged", fe`<code>${s2.slot.confirmed_lsn}</code>`],
    s2.slot && ["Written", fe`<code>${s2.slot.current_lsn}</code>`],
    s2.stream && ["Last commit", fe`<${When} at=${s2.stream.last_commit_at} now=${now} />`],
    s2.stream && ["Reconnects", count(s2.stream.reconnects)]
  ]} /></section>
      <section><h2>Store</h2><${Facts} of=${[
    s2.store && ["Size", bytes(s2.store.bytes)],
    s2.event_log && ["Events kept", `about ${count(s2.event_log.rows_estimate)}`],
    s2.event_log && ["Of which", bytes(s2.event_log.bytes)],
    s2.event_log && ["Oldest", fe`<${When} at=${s2.event_log.oldest_at} now=${now} />`],
    s2.event_log && ["Retention", seconds(s2.event_log.retention_seconds)],
    s2.event_log && ["Partitions", count(s2.event_log.partitions)],
    s2.deliveries && ["Under way", `${many(s2.deliveries.in_memory, "delivery", "deliveries")}, ${bytes(s2.deliveries.memory_bytes)} of ${bytes(s2.deliveries.memory_limit_bytes)}`],
    s2.deliveries && ["Waiting", count(s2.deliveries.due)],
    s2.subscriptions && ["Subscriptions", `${count(s2.subscriptions.active)} active, ${count(s2.subscriptions.disabled)} disabled, ${count(s2.subscriptions.pending)} pending, ${count(s2.subscriptions.feed_only)} feeds`]
  ]} /></section>`}
    ${has("system") && fe`<${Config} />`}`;
}
function Checks({ now }) {
  const { data, error, loading, reload, put } = useLoad(async (signal) => (await get("/check", null, signal)).data, []);
  const [good, show] = G(false);
  return fe`<section aria-labelledby="checks"><h2 id="checks">Checks</h2>
    ${!data && loading && fe`<${Loading} />`}<${Failure} error=${error} again=${reload} />
    ${data && fe`<p class="sub" role="status"><${State} of=${data.errors ? "error" : data.warnings ? "warning" : "done"} word=${data.ok && !data.warnings ? "all is well" : `${many(data.errors, "error")}, ${many(data.warnings, "warning")}`} />
      <span>looked at <${When} at=${data.at} now=${now} />, in ${seconds(data.took_ms / 1e3)}</span>
      <${Button} kind="quiet" act=${async () => put((await get("/check", { fresh: true })).data)}>Check again<//></p>
      ${data.findings.length > 0 && fe`<br /><ul>${data.findings.map((f2) => fe`<${Finding} level=${f2.level} what=${f2.what} so=${f2.consequence} place=${f2.place} mend=${f2.mend} sql=${f2.sql} />`)}</ul>`}
      ${data.good?.length > 0 && fe`<p><button type="button" class="quiet" aria-expanded=${good ? "true" : "false"} onClick=${() => show(!good)}>${good ? "Hide" : "Show"} what is right (${data.good.length})</button></p>${good && fe`<ul>${data.good.map((g2) => fe`<li><${State} of="done" word=${" "} />${g2}</li>`)}</ul>`}`}`}
  </section>`;
}
function Config() {
  const { data, error, loading, reload } = useLoad(async (signal) => (await get("/config", null, signal)).data, []);
  if (error?.status === 404) {
    return fe`<section><h2>Config</h2><p>There is none to show: this rowhook runs without a config file, as <code>rowhook dev</code> does. This prints one to begin with, made from the tables of your database:</p><br />
      <${Code} label="The command" text="rowhook init --database-url $DATABASE_URL" /></section>`;
  }
  return fe`<section><h2>Config, as it runs</h2><${Failure} error=${error} again=${reload} />${!data && loading && fe`<${Loading} />`}
    ${data && fe`<p class="sub"><code>${data.path}</code><span>read ${stamp(data.loaded_at)}</span><span>secrets are stars</span></p><br /><${Code} label="The config" text=${data.text} />`}</section>`;
}

// script/app.js
var Logo = () => fe`<svg class="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="7" fill="var(--accent)" />
  <g fill="none" stroke="var(--on-accent)" stroke-width="2.600" stroke-linecap="round"><path d="M7 9h18" opacity=".55" />
  <path d="M7 15h11.500a4.750 4.750 0 0 1 0 9.500h-1.500a4 4 0 0 1-4-4" /><path d="m10 23 3-3 3 3" stroke-linejoin="round" /></g></svg>`;
function pagesOf(session) {
  const admin = session.role === "admin";
  const has = (f2) => session.features.includes(f2);
  return [
    admin && has("status") && { key: "o", to: "/", name: "Overview" },
    { key: "s", to: "/subscriptions", name: "Subscriptions" },
    has("feed") && { key: "e", to: "/events", name: "Events" },
    admin && has("system") && { key: "r", to: "/resources", name: "Resources" },
    admin && has("dead_letters") && { key: "d", to: "/dead-letters", name: "Dead letters" },
    admin && has("system") && { key: "y", to: "/system", name: "System" }
  ].filter(Boolean);
}
function ThemeSwitch() {
  const [theme, set] = G(document.documentElement.dataset.theme || "auto");
  const choose = (to) => {
    set(to);
    if (to === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = to;
    try {
      if (to === "auto") localStorage.removeItem("rowhook-theme");
      else localStorage.setItem("rowhook-theme", to);
    } catch {
    }
    dispatchEvent(new Event("rowhook-theme"));
  };
  return fe`<div class="themes" role="group" aria-label="Theme">${[["auto", "Auto"], ["light", "Light"], ["dark", "Dark"]].map(([value, word]) => fe`<button type="button" class="quiet" aria-pressed=${theme === value ? "true" : "false"} onClick=${() => choose(value)}>${word}</button>`)}</div>`;
}
function Page({ session, at, pages }) {
  const parts = at.path.split("/").slice(1).map(decodeURIComponent);
  const writable = !session.read_only;
  const may = (to) => pages.some((p2) => p2.to === to);
  const common = { session, at, writable, admin: session.role === "admin" };
  switch (parts[0]) {
    case "":
      if (may("/")) return fe`<${Overview} ...${common} />`;
      break;
    case "subscriptions":
      if (!parts[1]) return fe`<${Subscriptions} ...${common} />`;
      if (parts[1] === "new" && writable) return fe`<${SubscriptionForm} key="new" ...${common} />`;
      if (parts[2] === "edit" && writable) return fe`<${SubscriptionForm} key=${parts[1]} id=${parts[1]} ...${common} />`;
      if (parts[1] === "new" || !["", "waiting", "again", "settings"].includes(parts[2] || "") || parts[3]) break;
      return fe`<${Subscription} key=${parts[1]} id=${parts[1]} tab=${parts[2] || ""} ...${common} />`;
    case "deliveries":
      if (parts[1]) return fe`<${Delivery} key=${parts[1]} id=${parts[1]} ...${common} />`;
      break;
    case "events":
      if (may("/events")) return fe`<${Events} ...${common} />`;
      break;
    case "resources":
      if (may("/resources")) return parts[1] ? fe`<${Resource} key=${parts[1]} name=${parts[1]} ...${common} />` : fe`<${Resources} ...${common} />`;
      break;
    case "dead-letters":
      if (may("/dead-letters")) return parts[1] ? fe`<${DeadLetter} key=${parts[1]} id=${parts[1]} ...${common} />` : fe`<${DeadLetters} ...${common} />`;
      break;
    case "system":
      if (may("/system")) return fe`<${System} ...${common} />`;
      break;
  }
  return fe`<${Nowhere} />`;
}
function Guard({ children }) {
  const [error, again] = _e((e2) => console.error(e2));
  if (!error) return children;
  return fe`<${Head} title="This page has broken" /><div class="failure" role="alert"><p><${State} of="error" word="A mistake of the console" /></p>
    <p>It cannot show what it was given; rowhook itself goes on. Report it with this text, please: <code>${String(error?.message || error)}</code></p><${Button} act=${again}>Try again<//></div>`;
}
function Nowhere() {
  useTitle("No such page");
  return fe`<${Head} title="No such page" /><${Empty} title="There is nothing at this address">
    <p>It may belong to somebody else, or the link is cut off. <a href=${root + "/subscriptions"}>Go to the subscriptions</a>.</p><//>`;
}
function Shell({ session, out }) {
  const at = useLocation();
  const pages = pagesOf(session);
  const [open, setOpen] = G(false);
  const first = Q(true);
  J(() => {
    if (at.path === "/" && !pages.some((p2) => p2.to === "/")) go("/subscriptions", { replace: true });
  }, [at.path]);
  K(() => {
    setOpen(false);
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    if (!new URLSearchParams(location.search).has("find")) document.querySelector("main h1")?.focus({ preventScroll: true });
  }, [at.path]);
  J(() => {
    const refuse = () => {
      if (take()) say("You are signed in already. To use the token of the link, sign out, then follow it again.");
    };
    refuse();
    return onToken(refuse);
  }, []);
  const here2 = (to) => to === "/" ? at.path === "/" : at.path === to || at.path.startsWith(to + "/") || to === "/subscriptions" && at.path.startsWith("/deliveries/");
  return fe`<div class="shell">
    <a class="skip" href="#main" onClick=${(e2) => {
    e2.preventDefault();
    document.getElementById("main").focus();
  }}>Skip to the page</a>
    <header class="rail">
      <div class="brand"><a href=${root + "/"} aria-label="rowhook"><${Logo} /><span>rowhook</span></a>
        <button type="button" class="menu quiet" aria-expanded=${open ? "true" : "false"} aria-controls="nav" onClick=${() => setOpen(!open)}>Menu</button></div>
      <div id="nav" class=${open ? "drawer open" : "drawer"}>
        <nav aria-label="Pages"><ul>${pages.map((p2) => fe`<li><a href=${root + p2.to} aria-current=${here2(p2.to) ? "page" : void 0}>${p2.name}<kbd aria-hidden="true">g ${p2.key}</kbd></a></li>`)}</ul></nav>
        <div class="me">
          <p><strong>${session.name || "logged in"}</strong><span>${session.role === "admin" ? "every account" : `account ${session.account}`}${session.read_only ? ", reads only" : ""}</span></p>
          <${ThemeSwitch} />
          <${Button} kind="quiet out" act=${out}>Sign out<//>
          <p class="version"><span title=${session.version}>${session.version}</span> <kbd>?</kbd> keys</p>
        </div>
      </div>
    </header>
    <main id="main" tabindex="-1"><${Away} /><${Guard} key=${at.path}><${Page} session=${session} at=${at} pages=${pages} /><//></main>
    <${Notices} />
    <${Keyboard} pages=${pages} writable=${!session.read_only} />
  </div>`;
}
function Console() {
  const [session, set] = G(void 0);
  const [error, fail] = G(null);
  const [ended2, end] = G(false);
  const away2 = useAway();
  const load = async () => {
    fail(null);
    try {
      set((await get("/session")).data);
    } catch (e2) {
      if (e2 instanceof Problem && e2.status === 401) set(null);
      else fail(e2);
    }
  };
  if (session !== void 0) signed(session?.role);
  K(() => {
    load();
    const out2 = () => {
      end(true);
      set(null);
    };
    addEventListener("rowhook-out", out2);
    return () => removeEventListener("rowhook-out", out2);
  }, []);
  const out = async () => {
    let untold = "";
    try {
      await call("DELETE", "/session");
    } catch (e2) {
      if (e2.status !== 503 || e2.away) throw e2;
      untold = complaint(e2);
    }
    end(untold);
    set(null);
  };
  J(() => {
    if (!away2 && error) load();
  }, [away2]);
  if (error) return fe`<main class="alone"><${Logo} /><h1>rowhook</h1><${Away} /><${Failure} error=${error} again=${load} /></main>`;
  if (session === void 0) return fe`<main class="alone" aria-busy="true"></main>`;
  if (session === null) return fe`<${Login} Logo=${Logo} enter=${set} ended=${ended2} />`;
  return fe`<${Shell} key=${session.role + session.account + session.name} session=${session} out=${out} />`;
}
M(fe`<${Console} />`, document.getElementById("app"));
